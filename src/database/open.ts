import assert from 'node:assert/strict'
import { sql } from 'kysely'
import type { DatabaseConfig, DatabaseStructureConfig } from '../config/config.ts'
import { parseDatabasePath } from '../config/database-path.ts'
import { configError, OperatorError } from '../errors.ts'
import { faultsOfTable } from './check.ts'
import { createTable } from './create.ts'
import type { Database, Table } from './database.ts'
import type { Dialect } from './dialect.ts'
import { tableShapes } from './shapes.ts'
import { hashTable, inTurns, type Store } from './table.ts'
import { transactions } from './transactions.ts'
import { createTurns, type Turns } from './turns.ts'
import { usersTable } from './users.ts'

/**
 * Connects to the database, which creates a file of SQLite but no table. Rejects with an OperatorError that names where the database should be,
 * without the password: 69 when there is none that answers, 78 when it answers that the configuration is wrong.
 */
export async function openDatabase(
  config: DatabaseConfig,
  structure: DatabaseStructureConfig,
): Promise<Database> {
  const timeoutMillis = config.statement_timeout * 1000
  const dialect = await openDialect(config, timeoutMillis)
  const database = overDialect(dialect, structure, config.chunk_size, timeoutMillis)
  try {
    await database.ping()
  } catch (error) {
    await database.close()
    throw dialect.explain(error)
  }
  return database
}

/** Loads the configured driver only. */
async function openDialect({ path }: DatabaseConfig, timeoutMillis: number): Promise<Dialect> {
  const parsed = parseDatabasePath(path)
  assert.ok(parsed, 'the configuration was checked')
  if (parsed.engine === 'sqlite3') return (await import('./sqlite.ts')).openSqlite(parsed.file)
  if (parsed.engine === 'mysql') {
    return (await import('./mysql.ts')).openMysql(parsed, timeoutMillis)
  }
  return (await import('./postgres.ts')).openPostgres(parsed, timeoutMillis)
}

function overDialect(
  dialect: Dialect,
  structure: DatabaseStructureConfig,
  chunkSize: number,
  timeoutMillis: number,
): Database {
  const { kysely } = dialect
  const transact = transactions(dialect, timeoutMillis)
  const store: Store = { dialect, transact, chunkSize }
  const shapes = tableShapes(structure, dialect.fold)
  const turns: Turns[] = []
  const ordered = <Row>(table: Table<Row>) => {
    const own = createTurns(timeoutMillis)
    turns.push(own)
    return inTurns(table, own)
  }
  return {
    torrents: ordered(hashTable(store, shapes.torrents)),
    whitelist: ordered(hashTable(store, shapes.whitelist)),
    blacklist: ordered(hashTable(store, shapes.blacklist)),
    keys: ordered(hashTable(store, shapes.keys)),
    users: ordered(usersTable(store, shapes.users)),
    async createTables() {
      try {
        for (const shape of Object.values(shapes)) await createTable(dialect, kysely, shape)
      } catch (error) {
        throw error instanceof OperatorError ? error : dialect.explain(error)
      }
    },
    async checkTables() {
      const lines: string[] = []
      for (const shape of Object.values(shapes))
        lines.push(...(await faultsOfTable(dialect, shape)))
      if (lines.length > 0) throw configError(lines)
    },
    async ping() {
      await sql`select 1`.execute(kysely)
    },
    explain: error => (error instanceof OperatorError ? error : dialect.explain(error)),
    async close() {
      await Promise.all(turns.map(own => own.close()))
      await kysely.destroy()
    },
  }
}
