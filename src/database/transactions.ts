import type { Transaction } from 'kysely'
import type { Dialect, Tables } from './dialect.ts'

const ATTEMPTS_MAX = 4

/** Runs `work` in a transaction, after those that were asked for before it. */
export type Transact = <T>(work: (transaction: Transaction<Tables>) => Promise<T>) => Promise<T>

/**
 * One transaction at a time, so that our own never wait for each other's locks crosswise. One that another process got in the way of, or whose
 * connection broke, is run again: whatever it wrote is gone by then, and `work` says what is to be, not what is to change.
 */
export function transactions(dialect: Dialect): Transact {
  let last: Promise<unknown> = Promise.resolve()
  return work => {
    const result = last.then(() => attempt(dialect, work, 1))
    last = result.catch(() => undefined)
    return result
  }
}

async function attempt<T>(
  dialect: Dialect,
  work: (transaction: Transaction<Tables>) => Promise<T>,
  number: number,
): Promise<T> {
  try {
    return await dialect.kysely.transaction().execute(work)
  } catch (error) {
    if (number === ATTEMPTS_MAX || !dialect.mayRetry(error)) throw error
    return attempt(dialect, work, number + 1)
  }
}
