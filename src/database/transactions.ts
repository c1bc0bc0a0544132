import { setImmediate, setTimeout } from 'node:timers/promises'
import type { Transaction } from 'kysely'
import type { Dialect, Tables } from './dialect.ts'
import { createTurns } from './turns.ts'

const RETRY_DELAY_MILLIS_MAX = 30

/** Runs `work` in a transaction, after all earlier transactions. */
export type Transact = <T>(work: (transaction: Transaction<Tables>) => Promise<T>) => Promise<T>

/** Runs `work`, and runs it again while it fails with an error that may pass. */
export type Retry = <T>(work: () => Promise<T>) => Promise<T>

/**
 * One transaction at a time, so that two of this process cannot deadlock. A transaction that failed
 * with an error that may pass is run again. `work` must therefore state values, not changes: a
 * commit whose answer was lost may have taken effect.
 */
export function transactions(dialect: Dialect, retry: Retry, timeoutMillis: number): Transact {
  const turns = createTurns(timeoutMillis)
  return work =>
    turns.take(async () => {
      // SQLite answers synchronously: let other work of this thread run between the chunks of a
      // write.
      await setImmediate()
      return retry(() => once(dialect, work))
    })
}

/**
 * Runs work again that failed because of another process's lock, or because its connection broke,
 * until `timeoutMillis` have passed since it began.
 */
export function retries(dialect: Pick<Dialect, 'mayRetry'>, timeoutMillis: number): Retry {
  return async work => {
    const until = performance.now() + timeoutMillis
    for (;;) {
      try {
        return await work()
      } catch (error) {
        if (performance.now() > until || !dialect.mayRetry(error)) throw error
      }
      await setTimeout(Math.random() * RETRY_DELAY_MILLIS_MAX)
    }
  }
}

async function once<T>(
  { kysely }: Dialect,
  work: (transaction: Transaction<Tables>) => Promise<T>,
): Promise<T> {
  const transaction = await kysely.startTransaction().execute()
  try {
    const result = await work(transaction)
    await transaction.commit().execute()
    return result
  } catch (error) {
    // The rollback fails if there is nothing left to roll back (full disk, lost connection); report
    // the cause.
    await transaction
      .rollback()
      .execute()
      .catch(() => undefined)
    throw error
  }
}
