import { mkdirSync } from 'node:fs'
import { dirname } from 'node:path'
import {
  CompiledQuery,
  type DatabaseConnection,
  Kysely,
  SqliteAdapter,
  type SqliteDatabase,
  SqliteDriver,
  SqliteIntrospector,
  SqliteQueryCompiler,
  type SqliteStatement,
  sql,
} from 'kysely'
import Libsql from 'libsql'
import { configError, unavailableError } from '../errors.ts'
import type { ColumnKind } from './columns.ts'
import { codeOf, type Dialect, messageOf, type Tables } from './dialect.ts'

/** Waiting for another process's lock stops this thread, so that it is short; a transaction is run again later. */
const BUSY_MILLIS_MAX = 20

/** At the start nobody is kept waiting, and another process may be closing the file. */
const OPEN_MILLIS_MAX = 5000

/** Statements kept prepared. The sizes of chunks make a handful for each table. */
const STATEMENTS_MAX = 100

/**
 * synchronous = FULL: each commit waits for the disk, so that what was answered "ok" survives a power cut too, not only the end of the process
 * (NORMAL would do for that). It costs one fsync per transaction of `chunk_size` rows.
 */
const PRAGMAS = ['journal_mode = wal', 'synchronous = full', 'cache_size = -65536']

const TYPES: Readonly<Record<ColumnKind, string>> = {
  binary: 'blob',
  hex: 'text',
  uuid: 'text',
  serial: 'integer primary key autoincrement',
  number: 'integer',
  bytes: 'integer',
  flag: 'integer',
}

/** SQLite in `file`, which is made if it is not there, with its folder. Throws an OperatorError. */
export function openSqlite(file: string): Dialect {
  let database: Libsql.Database
  try {
    mkdirSync(dirname(file), { recursive: true, mode: 0o750 })
    database = new Libsql(file, { timeout: OPEN_MILLIS_MAX })
    for (const pragma of PRAGMAS) database.pragma(pragma)
    database.pragma(`busy_timeout = ${BUSY_MILLIS_MAX}`)
  } catch (error) {
    throw explain(file, error)
  }
  const kysely = new Kysely<Tables>({
    dialect: {
      createAdapter: () => new SqliteAdapter(),
      createDriver: () => new ImmediateDriver({ database: kyselyDatabase(database) }),
      createIntrospector: db => new SqliteIntrospector(db),
      createQueryCompiler: () => new SqliteQueryCompiler(),
    },
  })
  return {
    kysely,
    address: file,
    upsert: 'on conflict',
    // SQLite's schemas are attached files; there is none but this one.
    fold: name => name.replace(/^main\./, ''),
    type: kind => TYPES[kind],
    fits,
    number: value => sql`${value}`,
    async columns(table) {
      const { rows } = await sql<{ name: string; type: string; single: number }>`
        select name, lower(type) as type, (pk > 0 and 1 = (select count(*) from pragma_table_info(${table}) where pk > 0))
          or exists (select 1 from pragma_index_list(${table}) as i where "unique" and not partial
            and 1 = (select count(*) from pragma_index_info(i.name))
            and c.name = (select name from pragma_index_info(i.name))) as single
        from pragma_table_info(${table}) as c`.execute(kysely)
      if (rows.length === 0) return undefined
      return rows.map(({ name, type, single }) => ({ name, type, unique: single === 1 }))
    },
    mayRetry: error => /^SQLITE_(BUSY|LOCKED)/.test(codeOf(error)),
    explain: error => explain(file, error),
  }
}

/** By the rules of SQLite's type affinity: a column holds what it is given, unless its type turns it into something else. */
function fits(kind: ColumnKind, type: string): boolean {
  if (kind === 'binary') return type === '' || /blob|binary/.test(type)
  if (kind === 'hex' || kind === 'uuid') return /char|clob|text/.test(type)
  return !/char|clob|text|blob|real|floa|doub/.test(type) && type !== ''
}

function explain(file: string, error: unknown) {
  const message = `database.path: ${file}: ${messageOf(error)}`
  return codeOf(error) === 'SQLITE_NOTADB' ? configError([message]) : unavailableError(message)
}

/** Takes the lock for writing at the start: one that is read first cannot always be had later. */
class ImmediateDriver extends SqliteDriver {
  override async beginTransaction(connection: DatabaseConnection): Promise<void> {
    await connection.executeQuery(CompiledQuery.raw('begin immediate'))
  }
}

/** libsql as Kysely wants it, with its statements kept and parameters that it takes. */
function kyselyDatabase(database: Libsql.Database): SqliteDatabase {
  const statements = new Map<string, SqliteStatement>()
  return {
    prepare(text) {
      const known = statements.get(text)
      if (known) return known
      const statement = database.prepare(text)
      const prepared: SqliteStatement = {
        reader: statement.reader,
        all: parameters => statement.all(bindable(parameters)),
        run: parameters => statement.run(bindable(parameters)),
        iterate: parameters => statement.iterate(bindable(parameters)),
      }
      const [oldest] = statements.keys()
      if (statements.size >= STATEMENTS_MAX && oldest !== undefined) statements.delete(oldest)
      statements.set(text, prepared)
      return prepared
    },
    close() {
      statements.clear()
      // Statements that are not collected yet keep the file open, so that closing alone would leave the log beside it.
      database.pragma('wal_checkpoint(truncate)')
      database.close()
    },
  }
}

/** libsql binds a number as a floating point one, takes no ArrayBuffer though it answers with them, and aborts the process for a boolean. */
function bindable(parameters: readonly unknown[]): unknown[] {
  return parameters.map(value => {
    if (typeof value === 'number' && Number.isSafeInteger(value)) return BigInt(value)
    if (value instanceof ArrayBuffer) return Buffer.from(value)
    return typeof value === 'boolean' ? BigInt(value) : (value ?? null)
  })
}
