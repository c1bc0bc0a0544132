/**
 * A run of memory seen two ways: single bytes and integers. Records, frames and packets are read and
 * written through it, so that nobody makes a view per request.
 */
export type Bytes<B extends ArrayBufferLike = ArrayBufferLike> = {
  readonly u8: Uint8Array<B>
  readonly view: DataView<B>
}

/** Zeroed private memory of `size` bytes. */
export function allocate(size: number): Bytes<ArrayBuffer> {
  return bytesOf(new Uint8Array(size))
}

/** The same memory as `u8`, not a copy. */
export function bytesOf<B extends ArrayBufferLike>(u8: Uint8Array<B>): Bytes<B> {
  return { u8, view: new DataView(u8.buffer, u8.byteOffset, u8.byteLength) }
}
