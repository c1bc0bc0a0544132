import t from 'tap'
import { pathOf } from '../database/fixtures/server-database.ts'
import { startPostgres } from '../fixtures/database-servers.ts'
import { createDatabaseTables } from './fixtures/database-tables.ts'
import { testLedgerModel } from './fixtures/ledger-model.ts'

t.test('users are credited to the byte, whatever happens, with pgsql', async t => {
  const server = await startPostgres(t)
  if (!server) return t.pass('no pgsql server is installed', { skip: 'no server' })
  const path = pathOf('pgsql', server)
  await createDatabaseTables('pgsql', path)
  return testLedgerModel(t, {
    seed: 15,
    database: { engine: 'pgsql', path },
    async outage() {
      await server.stop('SIGKILL')
      return () => server.start()
    },
  })
})
