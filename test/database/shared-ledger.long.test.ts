import t from 'tap'
import { startMariadb } from '../fixtures/database-servers.ts'
import { databasesOn } from './fixtures/server-database.ts'
import { testShared } from './fixtures/shared-ledger-behaviours.ts'

const server = await startMariadb(t)
if (server) testShared('mysql', databasesOn('mysql', server))
else t.test('mysql', { skip: 'not installed' }, async () => undefined)
