/**
 * Recent downloads, so that a `completed` counts once per torrent, peer id and address within a
 * day. A table of fixed size, shared by all threads. An entry contains the hour and the upper bits
 * of the hash of these three, whose lower bits choose the slot. A newer entry replaces an older one
 * in its slot, which then may count again.
 */
const ENTRIES = 2 ** 20
const DAY_HOURS = 24
const HOUR_SECONDS = 3600
/** Low bits of an entry: the hour modulo 1024. The others are the tag. */
const HOUR_BITS = 0x3ff

export type Completions = Int32Array<SharedArrayBuffer>

/** 4 MiB of address space; only used pages take memory. */
export function createCompletions(): SharedArrayBuffer {
  return new SharedArrayBuffer(ENTRIES * 4)
}

/** Records a download. Returns false if the same one was recorded within a day. */
export function noteCompletion(table: Completions, hash: number, nowSeconds: number): boolean {
  const place = hash & (ENTRIES - 1)
  const hour = Math.floor(nowSeconds / HOUR_SECONDS) & HOUR_BITS
  const tag = Math.imul(hash, 0x9e3779b1) & ~HOUR_BITS
  const before = Atomics.load(table, place)
  const isSame = before !== 0 && (before & ~HOUR_BITS) === tag
  // One recorded later, in the next hour, may have overtaken this one on the way from another node.
  if (isSame && ((hour - before + 1) & HOUR_BITS) <= DAY_HOURS) return false
  Atomics.store(table, place, tag | hour)
  return true
}
