import t from 'tap'
import { retries } from '../../src/database/transactions.ts'

const passing = new Error('the connection was lost')
const dialect = { mayRetry: (error: unknown) => error === passing }

/** Work that fails `failures` times with `error` before it succeeds. */
function failing(failures: number, error: Error) {
  let runs = 0
  return { runs: () => runs, work: async () => (++runs <= failures ? Promise.reject(error) : runs) }
}

t.test('work is run again while its error may pass', async t => {
  const { work } = failing(30, passing)
  t.equal(await retries(dialect, 60_000)(work), 31)
})

t.test('another error ends it at once', async t => {
  const { runs, work } = failing(1, new Error('no such table'))
  await t.rejects(retries(dialect, 60_000)(work), { message: 'no such table' })
  t.equal(runs(), 1)
})

t.test('after the time limit the last error is reported', async t => {
  const { work } = failing(Infinity, passing)
  await t.rejects(retries(dialect, 50)(work), passing)
})
