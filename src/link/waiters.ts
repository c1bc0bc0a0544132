import type { Failure } from '../protocol/failures.ts'
import type { Waiter } from './link.ts'

/**
 * An id is the waiter's slot in the low 16 bits and, above them, how often the slot has been used,
 * so that a late reply does not reach the slot's next waiter.
 */
const SLOT_BITS = 16
const SLOT_MASK = (1 << SLOT_BITS) - 1
const USES_MASK = 0xffff

/** Waiters of submitted requests, by the id that their record carries. */
export type Waiters = {
  readonly count: number
  /** Returns the id, a u32. At most 65,536 may wait. */
  add(waiter: Waiter): number
  /** Removes and returns the waiter with this id; undefined if there is none. */
  take(id: number): Waiter | undefined
  failAll(failure: Failure): void
}

export function createWaiters(): Waiters {
  return new WaiterSlots()
}

class WaiterSlots implements Waiters {
  readonly #waiters: (Waiter | undefined)[] = []
  readonly #uses: number[] = []
  readonly #freeSlots: number[] = []
  count = 0

  add(waiter: Waiter): number {
    let slot = this.#freeSlots.pop()
    if (slot === undefined) {
      slot = this.#waiters.length
      this.#uses.push(0)
    }
    this.#waiters[slot] = waiter
    const use = ((this.#uses[slot] ?? 0) + 1) & USES_MASK
    this.#uses[slot] = use
    this.count++
    return ((use << SLOT_BITS) | slot) >>> 0
  }

  take(id: number): Waiter | undefined {
    const slot = id & SLOT_MASK
    if (this.#uses[slot] !== id >>> SLOT_BITS) return undefined
    return this.#release(slot)
  }

  failAll(failure: Failure): void {
    for (let slot = 0; slot < this.#waiters.length && this.count > 0; slot++) {
      this.#release(slot)?.fail(failure)
    }
  }

  #release(slot: number): Waiter | undefined {
    const waiter = this.#waiters[slot]
    if (!waiter) return undefined
    this.#waiters[slot] = undefined
    this.#freeSlots.push(slot)
    this.count--
    return waiter
  }
}
