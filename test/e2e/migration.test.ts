import { join } from 'node:path'
import Database from 'libsql'
import t from 'tap'
import { hasProgram } from '../fixtures/real-clients.ts'
import { temporaryFolder } from '../fixtures/start-tracker.ts'
import { followMigration } from './fixtures/follow-migration.ts'

const skip = !hasProgram('curl') && 'curl is not installed'

t.test('the commands of the migration guide work on SQLite', { skip }, async t => {
  const folder = temporaryFolder(t)
  const run = async (statement: string) => {
    const database = new Database(join(folder, 'data.db'))
    try {
      const prepared = database.prepare(statement)
      if (prepared.reader) return prepared.all() as Record<string, unknown>[]
      prepared.run()
      return []
    } finally {
      database.close()
    }
  }
  await followMigration(t, { engine: 'sqlite3', path: 'sqlite://data.db', run }, folder)
})
