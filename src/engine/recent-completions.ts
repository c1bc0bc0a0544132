import {
  DELTA_ADDRESS,
  DELTA_ADDRESS_BYTES,
  DELTA_BITS,
  DELTA_FAMILY_BITS,
} from '../protocol/delta-record.ts'
import { CONNECTION_BYTES, Family, HASH_BYTES } from '../protocol/records.ts'
import { RecentMap } from './recent-map.ts'
import { PEER_ADDRESS } from './tables/layout.ts'

/** Seconds after which the older half is forgotten, and downloads of one half at most. */
const HALF_SECONDS = 1800
const HALF_MAX = 100_000

/** Seconds within which an engine thread reports what it has counted, even on a busy machine. */
const REPORT_SECONDS = 10
const REPEATED_MAX = 10_000

/**
 * The downloads that this node counted in the last half hour. A client that announces its
 * `completed` to two nodes at once is counted by both, before each knows of the other: one of them
 * then takes its count back (apply.ts).
 */
export class RecentCompletions {
  readonly #downloads = new RecentMap<true>(HALF_SECONDS, HALF_MAX)
  /** Downloads of other nodes that were counted here already, with their time. */
  readonly #repeated = new Map<string, number>()

  /**
   * Records the delta of this node at `at`, which counted as a download. Returns true if it is to
   * be taken back: another node's has arrived before this record.
   */
  note(bytes: Buffer, at: number, nowSeconds: number): boolean {
    this.#downloads.turn(nowSeconds)
    const key = keyOf(bytes, at)
    const repeatedSeconds = this.#repeated.get(key)
    this.#repeated.delete(key)
    if (repeatedSeconds !== undefined && nowSeconds - repeatedSeconds <= REPORT_SECONDS) return true
    this.#downloads.set(key, true)
    return false
  }

  /**
   * Whether this node counted the download of the delta at `at`, which is then forgotten. If it has
   * not been recorded yet, `note` returns true for it.
   */
  take(bytes: Buffer, at: number, nowSeconds: number): boolean {
    const key = keyOf(bytes, at)
    if (this.#downloads.delete(key)) return true
    for (const [other, seconds] of this.#repeated) {
      if (this.#repeated.size < REPEATED_MAX && nowSeconds - seconds <= REPORT_SECONDS) break
      this.#repeated.delete(other)
    }
    this.#repeated.set(key, nowSeconds)
    return false
  }
}

/** Info hash, peer id and address, by which a download counts once (new-completion.ts). */
function keyOf(bytes: Buffer, at: number): string {
  const family = (bytes[at + DELTA_BITS]! & DELTA_FAMILY_BITS) as Family
  const address = at + DELTA_ADDRESS
  const ids = address + DELTA_ADDRESS_BYTES[family]
  const isWebsocket = family === Family.websocket
  const from = isWebsocket ? address + CONNECTION_BYTES : address
  const end = isWebsocket ? ids : address + PEER_ADDRESS[family]
  return bytes.toString('latin1', ids, ids + 2 * HASH_BYTES) + bytes.toString('latin1', from, end)
}
