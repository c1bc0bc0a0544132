import { STRIPE_LOCK } from './layout.ts'

/**
 * A stripe's lock word is 0 when free, 1 when held, 2 when held and a thread may be waiting
 * (Drepper, "Futexes Are Tricky", mutex 2). Without contention it costs one atomic operation each
 * way. A thread that dies with a lock leaves an inconsistent stripe, so the process must exit.
 */
const FREE = 0
const HELD = 1
const CONTENDED = 2

/** Spins before sleeping: a stripe is held for well under a microsecond, a sleep costs several. */
const SPINS = 100

type Lockable = { readonly i32: Int32Array<SharedArrayBuffer> }

/** Takes the lock at this byte offset: a stripe, or another record that begins with a lock word. */
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
 * Releases the stripe's lock, which this thread must hold, and wakes a waiting thread. Returns
 * whether a thread may have waited.
 */
export function releaseLock(memory: Lockable, stripe: number): boolean {
  const at = (stripe + STRIPE_LOCK) >> 2
  if (Atomics.exchange(memory.i32, at, FREE) !== CONTENDED) return false
  Atomics.notify(memory.i32, at, 1)
  return true
}

/**
 * Milliseconds for which a thread that will retake the lock sleeps, so that a waiting thread gets
 * it first. A wake takes some tens of microseconds.
 */
const PASS_MILLIS = 0.2
const NEVER_WOKEN = new Int32Array(new SharedArrayBuffer(4))

/**
 * Like `releaseLock`, for a thread that takes the same lock again at once. It sleeps briefly if
 * another thread waits, which would otherwise wake to find the lock taken, again and again.
 */
export function passLock(memory: Lockable, stripe: number): void {
  if (releaseLock(memory, stripe)) Atomics.wait(NEVER_WOKEN, 0, 0, PASS_MILLIS)
}
