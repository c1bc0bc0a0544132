import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import Database from 'libsql'
import t from 'tap'
import { literal, torrustActixTables } from '../database/fixtures/torrust-actix-tables.ts'
import { followDocument, loopbackPorts } from '../fixtures/documents.ts'
import { hasProgram } from '../fixtures/real-clients.ts'
import { temporaryFolder } from '../fixtures/start-tracker.ts'
import { TORRUST_ACTIX_CONFIG } from '../fixtures/torrust-actix-config.ts'

const skip = !hasProgram('curl') && 'curl is not installed'

const HASH = '0102030405060708090a0b0c0d0e0f1011121314'
const KEY = '1'.repeat(40)
const USER_KEY = '2'.repeat(40)
const UUID = '550e8400-e29b-41d4-a716-446655440000'

function makeDatabase(file: string): void {
  const shape = { binary: true, uuid: true }
  const hash = (hex: string) => literal('sqlite3', shape, hex)
  const database = new Database(file)
  for (const statement of [
    ...torrustActixTables('sqlite3', shape),
    `INSERT INTO torrents VALUES (${hash(HASH)}, 3, 4, 77)`,
    `INSERT INTO whitelist VALUES (${hash(HASH)})`,
    `INSERT INTO blacklist VALUES (${hash('f'.repeat(40))})`,
    `INSERT INTO keys VALUES (${hash(KEY)}, 0)`,
    `INSERT INTO users VALUES ('${UUID}', ${hash(USER_KEY)}, 100, 50, 2, 1, 1700000000)`,
  ])
    database.exec(statement)
  database.close()
}

t.test('the commands of the migration guide work on files of Torrust-Actix', { skip }, async t => {
  const folder = temporaryFolder(t)
  const adapt = await loopbackPorts()
  writeFileSync(join(folder, 'config.toml'), adapt(TORRUST_ACTIX_CONFIG))
  makeDatabase(join(folder, 'data.db'))
  await followDocument(t, 'docs/migration-from-torrust-actix.md', folder, adapt)
})
