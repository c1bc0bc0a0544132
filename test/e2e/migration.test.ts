import { join } from 'node:path'
import t from 'tap'
import { runOnSqlite } from '../database/fixtures/sqlite-database.ts'
import { hasProgram } from '../fixtures/real-clients.ts'
import { temporaryFolder } from '../fixtures/start-tracker.ts'
import { followMigration } from './fixtures/follow-migration.ts'

const skip = !hasProgram('curl') && 'curl is not installed'

t.test('the commands of the migration guide work on SQLite', { skip }, async t => {
  const folder = temporaryFolder(t)
  const run = async (statement: string) => runOnSqlite(join(folder, 'data.db'), statement)
  await followMigration(t, { engine: 'sqlite3', path: 'sqlite://data.db', run }, folder)
})
