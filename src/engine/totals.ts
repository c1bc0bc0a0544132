import type { Engine } from './engine.ts'
import { type Arena, arenaTaken, stripeHead } from './tables/arena.ts'
import {
  STRIPE_COMPLETED,
  STRIPE_EVICTED,
  STRIPE_EXPIRED,
  STRIPE_PEERS,
  STRIPE_REFUSED,
  STRIPE_SEEDERS,
  STRIPE_TORRENTS,
} from './tables/layout.ts'

/** Sums over all stripes. The first three are what there is now, per family where a pair; the others count since the start. */
export type Totals = {
  torrents: number
  readonly peers: [number, number]
  readonly seeders: [number, number]
  completed: number
  expired: number
  evicted: number
  refused: number
  /** Bytes that stripes have taken from the arenas, and that the arenas have. */
  bytesTaken: number
  bytesReserved: number
}

/** Reads every stripe's counts without its lock: each is exact, their sum is of no single moment. */
export function totals(engine: Pick<Engine, 'arenas' | 'stripeCount'>): Totals {
  const sum: Totals = {
    torrents: 0,
    peers: [0, 0],
    seeders: [0, 0],
    completed: 0,
    expired: 0,
    evicted: 0,
    refused: 0,
    bytesTaken: 0,
    bytesReserved: 0,
  }
  for (let number = 0; number < engine.stripeCount; number++) {
    const { u32 } = engine.arenas[number % engine.arenas.length] as Arena
    const stripe = stripeHead(number, engine.arenas.length)
    const word = (offset: number) => u32[(stripe + offset) >> 2] as number
    sum.torrents += word(STRIPE_TORRENTS)
    for (const family of [0, 1] as const) {
      sum.peers[family] += word(STRIPE_PEERS + family * 4)
      sum.seeders[family] += word(STRIPE_SEEDERS + family * 4)
    }
    sum.completed += word(STRIPE_COMPLETED)
    sum.expired += word(STRIPE_EXPIRED)
    sum.evicted += word(STRIPE_EVICTED)
    sum.refused += word(STRIPE_REFUSED)
  }
  for (const arena of engine.arenas) {
    sum.bytesTaken += arenaTaken(arena)
    sum.bytesReserved += arena.u8.length
  }
  return sum
}
