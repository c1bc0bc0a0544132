import { setImmediate, setTimeout } from 'node:timers/promises'
import type { Transaction } from 'kysely'
import type { Dialect, Tables } from './dialect.ts'
import { createTurns } from './turns.ts'

/** How long another process may hold what a transaction needs. */
const RETRY_MILLIS_MAX = 10_000
const RETRY_DELAY_MILLIS_MAX = 30

/** Runs `work` in a transaction, after those that were asked for before it. */
export type Transact = <T>(work: (transaction: Transaction<Tables>) => Promise<T>) => Promise<T>

/**
 * One transaction at a time, so that our own never wait for each other's locks crosswise. One that another process got in the way of, or whose
 * connection broke, is run again: what it wrote is gone by then, or all there, and `work` says what is to be, not what is to change.
 */
export function transactions(dialect: Dialect): Transact {
  const turns = createTurns()
  return work =>
    turns.take(async () => {
      // SQLite answers at once: others on this thread get their turn between the chunks of a long write.
      await setImmediate()
      return attempt(dialect, work)
    })
}

async function attempt<T>(
  dialect: Dialect,
  work: (transaction: Transaction<Tables>) => Promise<T>,
): Promise<T> {
  const until = performance.now() + RETRY_MILLIS_MAX
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
    // Fails where there is nothing left to roll back: the disk is full, or the connection is gone. That is not what went wrong first.
    await transaction
      .rollback()
      .execute()
      .catch(() => undefined)
    throw error
  }
}
