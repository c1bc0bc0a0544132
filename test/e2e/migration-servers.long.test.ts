import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { databasesOn } from '../database/fixtures/server-database.ts'
import { startMariadb, startPostgres } from '../fixtures/database-servers.ts'
import { setEnvironment } from '../fixtures/environment.ts'
import { hasProgram } from '../fixtures/real-clients.ts'
import { temporaryFolder } from '../fixtures/start-tracker.ts'
import { followMigration } from './fixtures/follow-migration.ts'

const missing = (...programs: string[]) => {
  const absent = ['curl', ...programs].filter(program => !hasProgram(program))
  return absent.length > 0 && `not installed: ${absent.join(', ')}`
}

const POSTGRES = { skip: missing('psql', 'pg_dump') }
t.test('the commands of the migration guide work on PostgreSQL', POSTGRES, async t => {
  const server = await startPostgres(t)
  if (!server) return t.comment('PostgreSQL is not installed')
  await followMigration(t, await databasesOn('pgsql', server)(t), temporaryFolder(t))
})

const MARIADB = { skip: missing('mariadb', 'mariadb-dump') }
t.test('the commands of the migration guide work on MariaDB', MARIADB, async t => {
  const server = await startMariadb(t)
  if (!server) return t.comment('MariaDB is not installed')
  const folder = temporaryFolder(t)
  const { port, user, password } = server
  const login = `[client]\nprotocol=tcp\nport=${port}\nuser=${user}\npassword="${password}"\n`
  writeFileSync(join(folder, '.my.cnf'), login)
  setEnvironment(t, 'HOME', folder)
  await followMigration(t, await databasesOn('mysql', server)(t), folder)
})
