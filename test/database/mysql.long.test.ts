import t from 'tap'
import { startMariadb } from '../fixtures/database-servers.ts'
import { testBehaviours } from './fixtures/behaviours.ts'
import { testServerBehaviours } from './fixtures/server-behaviours.ts'
import { databasesOn } from './fixtures/server-database.ts'

const server = await startMariadb(t)
if (server) {
  testBehaviours(databasesOn('mysql', server))
  testServerBehaviours('mysql', server)
} else {
  t.test('MariaDB', { skip: 'not installed' }, async () => undefined)
}
