import { FAMILIES } from '../protocol/records.ts'
import { arenaTaken, stripeHead } from './tables/arena.ts'
import {
  STRIPE_CHANGED,
  STRIPE_COMPLETED,
  STRIPE_EVICTED,
  STRIPE_EXPIRED,
  STRIPE_PEERS,
  STRIPE_REFUSED,
  STRIPE_SEEDERS,
  STRIPE_TORRENTS,
  STRIPE_USED_CLASSES,
  StripeFlag,
  USED_CLASS_BYTES,
} from './tables/layout.ts'
import type { Stripes } from './tables/stripe.ts'

/** Upper bounds, in bytes, of the classes of `Totals.bytesUsed`; the last one is infinite. */
export const BLOCK_BYTES_BOUNDS = USED_CLASS_BYTES

/** Numbers of IPv4, IPv6 and WebSocket peers. */
export type PerFamily = readonly [number, number, number]

/**
 * Sums over all stripes. The first three are present counts; the next four count since the start.
 */
export type Totals = {
  torrents: number
  readonly peers: PerFamily
  readonly seeders: PerFamily
  completed: number
  expired: number
  evicted: number
  refused: number
  /** Bytes allocated to stripes, and bytes of all arenas. */
  bytesTaken: number
  bytesReserved: number
  /** Bytes in used blocks, by the classes of BLOCK_BYTES_BOUNDS. */
  readonly bytesUsed: readonly number[]
  /** Stripes with a torrent whose counts are not yet written to the database. */
  stripesChanged: number
}

/** Sum of all families. */
export function sumFamilies(counts: PerFamily): number {
  return counts[0] + counts[1] + counts[2]
}

/**
 * Reads every stripe's counts without its lock: each count is exact, but they are not of one
 * moment.
 */
export function totals(engine: Pick<Stripes, 'arenas' | 'stripeCount'>): Totals {
  const sum = {
    torrents: 0,
    peers: [0, 0, 0] as [number, number, number],
    seeders: [0, 0, 0] as [number, number, number],
    completed: 0,
    expired: 0,
    evicted: 0,
    refused: 0,
    bytesTaken: 0,
    bytesReserved: 0,
    bytesUsed: USED_CLASS_BYTES.map(() => 0),
    stripesChanged: 0,
  }
  for (let number = 0; number < engine.stripeCount; number++) {
    const { u32 } = engine.arenas[number % engine.arenas.length]!
    const stripe = stripeHead(number, engine.arenas.length)
    const word = (offset: number) => u32[(stripe + offset) >> 2]!
    sum.torrents += word(STRIPE_TORRENTS)
    for (const family of FAMILIES) {
      sum.peers[family] += word(STRIPE_PEERS + family * 4)
      sum.seeders[family] += word(STRIPE_SEEDERS + family * 4)
    }
    sum.completed += word(STRIPE_COMPLETED)
    sum.expired += word(STRIPE_EXPIRED)
    sum.evicted += word(STRIPE_EVICTED)
    sum.refused += word(STRIPE_REFUSED)
    if ((word(STRIPE_CHANGED) & StripeFlag.changed) !== 0) sum.stripesChanged++
    for (let n = 0; n < sum.bytesUsed.length; n++) {
      sum.bytesUsed[n]! += word(STRIPE_USED_CLASSES + n * 4)
    }
  }
  for (const arena of engine.arenas) {
    sum.bytesTaken += arenaTaken(arena)
    sum.bytesReserved += arena.u8.length
  }
  return sum
}
