import { STRIPE_LOCK } from './layout.ts'

/**
 * A stripe's lock word is 0 when free, 1 when held, 2 when held and somebody may be waiting
 * (Drepper, "Futexes Are Tricky", mutex 2). Uncontended it costs one atomic operation each way. A
 * thread that dies with a lock leaves an inconsistent stripe, so the process must exit.
 */
const FREE = 0
const HELD = 1
const CONTENDED = 2

/** Spins before sleeping: a stripe is held for well under a microsecond, a sleep costs several. */
const SPINS = 100

type Lockable = { readonly i32: Int32Array<SharedArrayBuffer> }

/**
 * Returns with the lock held of the stripe, or of another record that begins with a lock word, at
 * this offset in bytes.
 */
export function takeLock(memory: Lockable, stripe: number): void {
  const at = (stripe + STRIPE_LOCK) >> 2
  if (Atomics.compareExchange(memory.i32, at, FREE, HELD) !== FREE) waitForLock(memory.i32, at)
}

function waitForLock(i32: Int32Array<SharedArrayBuffer>, at: number): void {
  for (let spin = 0; spin < SPINS; spin++) {
    if (Atomics.load(i32, at) === FREE && Atomics.compareExchange(i32, at, FREE, HELD) === FREE)
      return
  }
  while (Atomics.exchange(i32, at, CONTENDED) !== FREE) Atomics.wait(i32, at, CONTENDED)
}

/**
 * Lets go of the stripe's lock, which this thread must hold, and wakes one who waits. Returns
 * whether somebody may have waited.
 */
export function releaseLock(memory: Lockable, stripe: number): boolean {
  const at = (stripe + STRIPE_LOCK) >> 2
  if (Atomics.exchange(memory.i32, at, FREE) !== CONTENDED) return false
  Atomics.notify(memory.i32, at, 1)
  return true
}

/**
 * How long a thread that goes on with the same stripe leaves it to who waits, in milliseconds: a
 * wake takes some tens of microseconds.
 */
const PASS_MILLIS = 0.2
const NEVER_WOKEN = new Int32Array(new SharedArrayBuffer(4))

/**
 * As `releaseLock`, for a thread that takes the same lock again at once: it sleeps a moment if
 * somebody waits, who would otherwise wake to find the lock taken, again and again.
 */
export function passLock(memory: Lockable, stripe: number): void {
  if (releaseLock(memory, stripe)) Atomics.wait(NEVER_WOKEN, 0, 0, PASS_MILLIS)
}
