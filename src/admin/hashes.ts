/** Memory of `viewOfHash`, used again by the next call. */
const bytes = Buffer.alloc(20)
const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)

/** The 20 bytes of 40 hex digits, for a look into a table at once: the next call overwrites them. */
export function viewOfHash(hash: string): DataView {
  bytes.write(hash, 'hex')
  return view
}
