import t from 'tap'
import { startPostgres } from '../fixtures/database-servers.ts'
import { testBehaviours } from './fixtures/behaviours.ts'
import { testServerBehaviours } from './fixtures/server-behaviours.ts'
import { databasesOn } from './fixtures/server-database.ts'

const server = await startPostgres(t)
if (server) {
  testBehaviours(databasesOn('pgsql', server))
  testServerBehaviours('pgsql', server)
} else {
  t.test('PostgreSQL', { skip: 'not installed' }, async () => undefined)
}
