import assert from 'node:assert/strict'
import { Readable } from 'node:stream'
import type { DatabaseConfig, DatabaseStructureConfig } from '../config/config.ts'
import { parseDatabasePath } from '../config/database-path.ts'
import { configError, OperatorError } from '../errors.ts'
import type { KeyFormat } from '../protocol/key.ts'
import { faultsOfTable } from './check.ts'
import { createTable } from './create.ts'
import type { Database } from './database.ts'
import type { Dialect } from './dialect.ts'
import { keysTable } from './keys.ts'
import { sql } from './kysely.ts'
import { createLedger, type Ledger, type SharedBy } from './ledger.ts'
import { acceptsTls } from './probe-tls.ts'
import { type Shapes, tableShapes } from './shapes.ts'
import {
  hashTable,
  hashTableInTurns,
  inTurns,
  type KeyTable,
  keyTableInTurns,
  type Store,
  type Table,
} from './table.ts'
import { retries, transactions } from './transactions.ts'
import { createTurns, type Turns } from './turns.ts'
import { usersTable } from './users.ts'

/**
 * Connects to the database, which creates a file of SQLite but no table. Rejects with an
 * OperatorError that names the database without the password: 69 if it does not answer, 78 if its
 * answer means that the configuration is wrong.
 */
export async function openDatabase(
  config: DatabaseConfig,
  structure: DatabaseStructureConfig,
  format: KeyFormat = 'hex',
  sharedBy?: SharedBy,
): Promise<Database> {
  const timeoutMillis = config.statement_timeout * 1000
  const dialect = await openDialect(config, timeoutMillis)
  const chunkSize = config.chunk_size || Number.MAX_SAFE_INTEGER
  const ledgerOf = (store: Store, shapes: Shapes) =>
    createLedger(store, shapes, structure, sharedBy)
  const options = { structure, format, chunkSize, timeoutMillis, ledgerOf }
  const database = overDialect(dialect, options)
  try {
    await database.ping()
  } catch (error) {
    await database.close()
    throw dialect.explain(error)
  }
  return database
}

/** Loads only the configured driver. */
async function openDialect({ path }: DatabaseConfig, timeoutMillis: number): Promise<Dialect> {
  const parsed = parseDatabasePath(path)
  assert.ok(parsed, 'the configuration was checked')
  if (parsed.engine === 'sqlite3') return (await import('./sqlite.ts')).openSqlite(parsed.file)
  const preferred = parsed.tls === 'prefer'
  const tls = preferred && !(await acceptsTls(parsed, timeoutMillis)) ? 'disable' : parsed.tls
  if (parsed.engine === 'mysql') {
    const server = { ...parsed, tls, user: parsed.user || 'root' }
    return (await import('./mysql.ts')).openMysql(server, timeoutMillis)
  }
  const server = { ...parsed, tls, user: parsed.user || loginName() }
  return (await import('./postgres.ts')).openPostgres(server, timeoutMillis)
}

/** User name that PostgreSQL's clients use by default. */
function loginName(): string {
  return process.env['PGUSER'] ?? process.env['USER'] ?? 'postgres'
}

/** A table with persistent = false: nothing is stored, so nothing is loaded. */
function unstored<Row>(): KeyTable<Row> {
  const nothing = async () => undefined
  return {
    load: () => Readable.from([]),
    save: nothing,
    update: nothing,
    remove: nothing,
    refresh: nothing,
    removeExpired: nothing,
    clear: nothing,
  }
}

type DatabaseOptions = {
  readonly structure: DatabaseStructureConfig
  readonly format: KeyFormat
  readonly chunkSize: number
  readonly timeoutMillis: number
  readonly ledgerOf: (store: Store, shapes: Shapes) => Ledger
}

function overDialect(
  dialect: Dialect,
  { structure, format, chunkSize, timeoutMillis, ledgerOf }: DatabaseOptions,
): Database {
  const { kysely } = dialect
  const retry = retries(dialect, timeoutMillis)
  const transact = transactions(dialect, retry, timeoutMillis)
  const store: Store = { dialect, transact, retry, chunkSize }
  const shapes = tableShapes(structure, format, dialect.fold)
  // The table of the keys' ends is created when it is first used.
  const used = Object.entries(shapes)
    .filter(([name]) => name !== 'torrents' || structure.torrents.persistent)
    .filter(([name]) => name !== 'keyEnds')
    .map(([, shape]) => shape)
  const turns: Turns[] = []
  const newTurns = () => {
    const own = createTurns(timeoutMillis)
    turns.push(own)
    return own
  }
  const ordered = <Row>(table: Table<Row>) => inTurns(table, newTurns())
  return {
    torrents: hashTableInTurns(hashTable(store, shapes.torrents), newTurns()),
    whitelist: structure.whitelist.persistent
      ? ordered(hashTable(store, shapes.whitelist))
      : unstored(),
    blacklist: structure.blacklist.persistent
      ? ordered(hashTable(store, shapes.blacklist))
      : unstored(),
    keys: structure.keys.persistent
      ? keyTableInTurns(keysTable(store, shapes), newTurns())
      : unstored(),
    users: structure.users.persistent ? ordered(usersTable(store, shapes.users)) : unstored(),
    async createTables() {
      try {
        for (const shape of used) await createTable(dialect, kysely, shape)
      } catch (error) {
        throw error instanceof OperatorError ? error : dialect.explain(error)
      }
    },
    async checkTables() {
      const lines: string[] = []
      for (const shape of used) lines.push(...(await faultsOfTable(dialect, shape)))
      if (lines.length > 0) throw configError(lines)
    },
    async ping() {
      await sql`select 1`.execute(kysely)
    },
    ledger: ledgerOf(store, shapes),
    isRowFault: error => error instanceof assert.AssertionError || dialect.isRowFault(error),
    explain: error => (error instanceof OperatorError ? error : dialect.explain(error)),
    async close() {
      await Promise.all(turns.map(own => own.close()))
      await kysely.destroy()
    },
  }
}
