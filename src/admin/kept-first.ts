import { AdminError } from './admin.ts'

/** Waits until the database has kept a change, which is not made otherwise; without a database there is nothing to wait for. */
export async function keptFirst(change: Promise<void> | undefined): Promise<void> {
  try {
    await change
  } catch (error) {
    throw new AdminError('database error', 'database error', { cause: error })
  }
}
