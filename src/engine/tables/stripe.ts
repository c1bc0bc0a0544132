import { type Arena, stripeHead } from './arena.ts'
import type { HashKey } from './keyed-hash.ts'
import { passLock, releaseLock, takeLock } from './lock.ts'
import type { StripeHead } from './references.ts'
import type { SourceCounts } from './source-counts.ts'

/** The tables as one thread sees them. */
export type Stripes = {
  readonly arenas: readonly Arena[]
  /** Power of two. Stripe s lies in arena s % arenas.length. */
  readonly stripeCount: number
  readonly hashKey: HashKey
  readonly sources: SourceCounts
}

/**
 * The stripe whose lock this thread holds: one object per thread, filled in again for each stripe,
 * so that an announce allocates nothing. A thread holds at most one stripe at a time.
 */
export type HeldStripe = Stripes & {
  arena: Arena
  head: StripeHead
}

export function createHeldStripe({ arenas, stripeCount, hashKey, sources }: Stripes): HeldStripe {
  const [arena] = arenas
  if (!arena) throw new Error('the tables have no arena')
  return { arenas, stripeCount, hashKey, sources, arena, head: stripeHead(0, arenas.length) }
}

/** The number of the stripe that a torrent of this hash belongs to. */
export function stripeOf(hash: number, stripeCount: number): number {
  return hash & (stripeCount - 1)
}

/** Takes the lock of stripe `number`. `releaseStripe` or `passStripe` must follow. */
export function holdStripe(held: HeldStripe, number: number): void {
  const { arenas } = held
  const arena = arenas[number % arenas.length]!
  const head = stripeHead(number, arenas.length)
  held.arena = arena
  held.head = head
  takeLock(arena, head)
}

/** Takes the lock of the stripe that a torrent of this hash belongs to. */
export function holdStripeOf(held: HeldStripe, hash: number): void {
  holdStripe(held, stripeOf(hash, held.stripeCount))
}

export function releaseStripe(held: HeldStripe): void {
  releaseLock(held.arena, held.head)
}

/** Releases the stripe for a thread that takes it again at once: a waiting thread gets it first. */
export function passStripe(held: HeldStripe): void {
  passLock(held.arena, held.head)
}
