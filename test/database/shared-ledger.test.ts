import t from 'tap'
import { startPostgres } from '../fixtures/database-servers.ts'
import { databasesOn } from './fixtures/server-database.ts'
import { testShared } from './fixtures/shared-ledger-behaviours.ts'

const server = await startPostgres(t)
if (server) testShared('pgsql', databasesOn('pgsql', server))
else t.test('pgsql', { skip: 'not installed' }, async () => undefined)
