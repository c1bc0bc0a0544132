import { setImmediate, setTimeout } from 'node:timers/promises'
import type { Transaction } from 'kysely'
import type { Dialect, Tables } from './dialect.ts'
import { createTurns } from './turns.ts'

const RETRY_DELAY_MILLIS_MAX = 30

/** Runs `work` in a transaction, after all earlier transactions. */
export type Transact = <T>(work: (transaction: Transaction<Tables>) => Promise<T>) => Promise<T>

/**
 * One transaction at a time, so that two of this process cannot deadlock. A transaction that failed
 * because of another process's lock, or because its connection broke, is run again until
 * `timeoutMillis` have passed. `work` must therefore state values, not changes: a commit whose
 * answer was lost may have taken effect.
 */
export function transactions(dialect: Dialect, timeoutMillis: number): Transact {
  const turns = createTurns(timeoutMillis)
  return work =>
    turns.take(async () => {
      // SQLite answers synchronously: let other work of this thread run between the chunks of a
      // write.
      await setImmediate()
      return attempt(dialect, work, timeoutMillis)
    })
}

async function attempt<T>(
  dialect: Dialect,
  work: (transaction: Transaction<Tables>) => Promise<T>,
  timeoutMillis: number,
): Promise<T> {
  const until = performance.now() + timeoutMillis
  for (;;) {
    try {
      return await once(dialect, work)
    } catch (error) {
      if (performance.now() > until || !dialect.mayRetry(error)) throw error
    }
    await setTimeout(Math.random() * RETRY_DELAY_MILLIS_MAX)
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
