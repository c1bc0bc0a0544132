/**
 * Copies `bytes`, an even number, word by word, and returns it: 50 peers take 0.1 µs, and 0.5 µs
 * with `set` and the view that it needs.
 */
export function copyWords(
  target: DataView,
  to: number,
  source: DataView,
  from: number,
  bytes: number,
): number {
  const words = bytes & ~3
  for (let n = 0; n < words; n += 4) target.setInt32(to + n, source.getInt32(from + n, true), true)
  if (words < bytes) target.setInt16(to + words, source.getInt16(from + words, true), true)
  return bytes
}

/** Views of the memory that `moveBytes` moves bytes in. */
type Shorts = { readonly u16: Uint16Array; readonly i32: Int32Array }

/**
 * Moves `bytes` to another offset, where they may overlap; all three are even. `copyWithin` takes
 * several times as long: in shared memory it copies byte by byte, unless the distance is a multiple
 * of 8.
 */
export function moveBytes({ u16, i32 }: Shorts, from: number, to: number, bytes: number): void {
  if (from === to) return
  if (((from | to | bytes) & 3) !== 0) {
    const source = from >> 1
    const target = to >> 1
    const count = bytes >> 1
    if (to < from) for (let n = 0; n < count; n++) u16[target + n] = u16[source + n]!
    else for (let n = count - 1; n >= 0; n--) u16[target + n] = u16[source + n]!
    return
  }
  const source = from >> 2
  const target = to >> 2
  const count = bytes >> 2
  if (to < from) for (let n = 0; n < count; n++) i32[target + n] = i32[source + n]!
  else for (let n = count - 1; n >= 0; n--) i32[target + n] = i32[source + n]!
}
