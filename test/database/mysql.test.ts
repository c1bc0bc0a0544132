import t from 'tap'
import { startMariadb } from '../fixtures/database-servers.ts'
import { testBehaviours } from './fixtures/behaviours.ts'
import { databasesOn } from './fixtures/server-database.ts'

const server = await startMariadb(t)
if (server) testBehaviours(databasesOn('mysql', server))
else t.test('MariaDB', { skip: 'not installed' }, async () => undefined)
