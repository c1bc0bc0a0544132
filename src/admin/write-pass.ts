import type { UserSums } from '../database/ledger-rows.ts'
import type { Engine } from '../engine/engine.ts'
import { readUser, type UserTotals } from '../engine/user-records.ts'
import { setSums } from './user-totals.ts'

/**
 * One pass over the changed sessions where several nodes credit users. Changes of another node's
 * clients wait until that node had time to write them. After the pass, totals in memory that have
 * missed something, such as an announce of a node that died, become those of the database.
 */
export class WritePass {
  readonly #engine: Engine
  readonly #limitSeconds: number
  readonly #waiting = new Set<number>()
  /** Totals in memory when the first session of the user was taken, by number. */
  readonly #before = new Map<number, UserTotals>()
  readonly #stored = new Map<number, UserSums>()

  /** Sessions of other nodes that announced since `limitSeconds` wait. */
  constructor(engine: Engine, limitSeconds: number) {
    this.#engine = engine
    this.#limitSeconds = limitSeconds
  }

  readonly mustWait = (user: number, seen: number): boolean => {
    if (seen < this.#limitSeconds) return false
    this.#waiting.add(user)
    return true
  }

  taken(user: number): void {
    if (!this.#before.has(user)) this.#before.set(user, readUser(this.#engine.access.users, user))
  }

  written(user: number, sums: UserSums): void {
    this.#stored.set(user, sums)
  }

  /** Corrects the totals of users without unwritten changes. */
  end(): void {
    for (const [number, sums] of this.#stored) {
      const before = this.#before.get(number)
      if (before && !this.#waiting.has(number)) setSums(this.#engine, number, sums, before)
    }
  }
}
