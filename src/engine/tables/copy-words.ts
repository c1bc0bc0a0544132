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
  const isWhole = ((from | to | bytes) & 3) === 0
  const cells = isWhole ? i32 : u16
  const shift = isWhole ? 2 : 1
  const source = from >> shift
  const target = to >> shift
  const count = bytes >> shift
  if (to < from) for (let n = 0; n < count; n++) cells[target + n] = cells[source + n]!
  else if (to > from) for (let n = count - 1; n >= 0; n--) cells[target + n] = cells[source + n]!
}
