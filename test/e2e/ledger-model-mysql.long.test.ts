import t from 'tap'
import { pathOf } from '../database/fixtures/server-database.ts'
import { startMariadb } from '../fixtures/database-servers.ts'
import { createDatabaseTables } from './fixtures/database-tables.ts'
import { testLedgerModel } from './fixtures/ledger-model.ts'

t.test('users are credited to the byte, whatever happens, with mysql', async t => {
  const server = await startMariadb(t)
  if (!server) return t.pass('no mysql server is installed', { skip: 'no server' })
  const path = pathOf('mysql', server)
  await createDatabaseTables('mysql', path)
  return testLedgerModel(t, {
    seed: 16,
    database: { engine: 'mysql', path },
    async outage() {
      await server.stop('SIGKILL')
      return () => server.start()
    },
  })
})
