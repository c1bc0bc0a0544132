import {
  ARENA_BYTES_MAX,
  ARENA_FREE,
  ARENA_HEAD_BYTES,
  ARENA_TORRENTS,
  STRIPE_HEAD_BYTES,
} from './layout.ts'
import type { StripeHead } from './references.ts'
import { createSourceCounts } from './source-counts.ts'

/** One arena of shared memory, with a view of each width that its fields have. */
export type Arena = {
  readonly u8: Uint8Array<SharedArrayBuffer>
  readonly u16: Uint16Array<SharedArrayBuffer>
  readonly u32: Uint32Array<SharedArrayBuffer>
  readonly i32: Int32Array<SharedArrayBuffer>
  readonly view: DataView<SharedArrayBuffer>
}

/** The shared memory that threads pass to each other. It can be cloned with `postMessage`. */
export type SharedTables = {
  readonly arenas: readonly SharedArrayBuffer[]
  /** Power of two. Stripe s lies in arena s % arenas.length. */
  readonly stripeCount: number
  /** Key of every hash over input that clients choose. */
  readonly hashKey: readonly [number, number]
  /** Numbers of peers by source, see source-counts.ts. */
  readonly sources: SharedArrayBuffer
}

const STRIPES_MAX = 2048
/**
 * With this many stripes, two threads rarely want the same one. There are more only if each has
 * STRIPE_BYTES, because a stripe cannot use the free space of another.
 */
const STRIPES_ENOUGH = 256
const STRIPE_BYTES = 4 * 2 ** 20
const STRIPE_BYTES_MIN = 16 * 1024

/**
 * Reserves `memoryBytes` of address space. A page uses memory only once it is touched, so a
 * generous size costs nothing. The address space never grows and never moves.
 */
export function reserveTables(
  memoryBytes: number,
  hashKey: readonly [number, number],
): SharedTables {
  const arenaCount = Math.ceil(memoryBytes / ARENA_BYTES_MAX)
  const arenaBytes = Math.floor(memoryBytes / arenaCount / 64) * 64
  const stripeCount = stripesFor(memoryBytes)
  const heads = ARENA_HEAD_BYTES + Math.ceil(stripeCount / arenaCount) * STRIPE_HEAD_BYTES
  const arenas: SharedArrayBuffer[] = []
  for (let n = 0; n < arenaCount; n++) {
    const memory = new SharedArrayBuffer(arenaBytes)
    new Uint32Array(memory)[ARENA_FREE >> 2] = heads
    arenas.push(memory)
  }
  return { arenas, stripeCount, hashKey, sources: createSourceCounts() }
}

/** Number of stripes for this much memory, a power of two. */
function stripesFor(memoryBytes: number): number {
  let count = STRIPES_MAX
  while (count > STRIPES_ENOUGH && memoryBytes / count < STRIPE_BYTES) count /= 2
  while (count > 1 && memoryBytes / count < STRIPE_BYTES_MIN) count /= 2
  return count
}

/** Creates this thread's views of an arena. */
export function viewArena(memory: SharedArrayBuffer): Arena {
  return {
    u8: new Uint8Array(memory),
    u16: new Uint16Array(memory),
    u32: new Uint32Array(memory),
    i32: new Int32Array(memory),
    view: new DataView(memory),
  }
}

/**
 * Allocates `bytes` (a multiple of 16) from the unused end of the arena. Returns 0 if the arena is
 * full.
 */
export function takeFromArena(arena: Arena, bytes: number): number {
  const at = ARENA_FREE >> 2
  for (;;) {
    const free = Atomics.load(arena.u32, at)
    if (free + bytes > arena.u8.length) return 0
    if (Atomics.compareExchange(arena.u32, at, free, free + bytes) === free) return free
  }
}

/** Bytes of the arena that are allocated to stripes. */
export function arenaTaken(arena: Arena): number {
  return Atomics.load(arena.u32, ARENA_FREE >> 2)
}

/** Adds `change` to the number of torrents in the arena. */
export function countTorrents(arena: Arena, change: number): void {
  Atomics.add(arena.u32, ARENA_TORRENTS >> 2, change)
}

/** Number of torrents in all stripes of the arena. */
export function arenaTorrents(arena: Arena): number {
  return Atomics.load(arena.u32, ARENA_TORRENTS >> 2)
}

/** Offset of the head of stripe `stripe` in its arena. */
export function stripeHead(stripe: number, arenaCount: number): StripeHead {
  return (ARENA_HEAD_BYTES + Math.floor(stripe / arenaCount) * STRIPE_HEAD_BYTES) as StripeHead
}

/**
 * Adds one to the u32 at `at`, which wraps. The caller holds the lock of the stripe it belongs to.
 */
export function increment(arena: Arena, at: number): void {
  arena.u32[at >> 2]!++
}
