import t from 'tap'
import { startMariadb, startPostgres } from '../fixtures/database-servers.ts'
import { testLedger } from './fixtures/ledger-behaviours.ts'
import { databasesOn } from './fixtures/server-database.ts'
import { sqliteDatabase } from './fixtures/sqlite-database.ts'

testLedger(sqliteDatabase)

for (const [engine, start] of [
  ['pgsql', startPostgres],
  ['mysql', startMariadb],
] as const) {
  const server = await start(t)
  if (server) testLedger(databasesOn(engine, server))
  else t.test(engine, { skip: 'not installed' }, async () => undefined)
}
