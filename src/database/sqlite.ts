import { mkdirSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import { isMainThread } from 'node:worker_threads'
import type { DatabaseConnection, SqliteDatabase, SqliteStatement } from 'kysely'
import Libsql from 'libsql'
import { configError, ExitStatus, OperatorError, unavailableError } from '../errors.ts'
import type { ColumnKind } from './columns.ts'
import { codeOf, type Dialect, messageOf, type Tables } from './dialect.ts'
import {
  CompiledQuery,
  Kysely,
  SqliteAdapter,
  SqliteDriver,
  SqliteIntrospector,
  SqliteQueryCompiler,
  sql,
} from './kysely.ts'

/**
 * Waiting for another process's lock blocks this thread, so the limit is short; transactions are
 * retried.
 */
const BUSY_MILLIS_MAX = 20

/** At startup nothing else waits, and another process may be closing the file. */
const OPEN_MILLIS_MAX = 5000

/** Maximum number of cached prepared statements; chunk sizes cause a handful per table. */
const STATEMENTS_MAX = 100

/**
 * synchronous = FULL: each commit waits for the disk, so that an acknowledged change survives a
 * power cut too. It costs one fsync per transaction of `chunk_size` rows.
 */
const PRAGMAS = ['journal_mode = wal', 'synchronous = full', 'cache_size = -65536']

const TYPES: Readonly<Record<ColumnKind, string>> = {
  binary: 'blob',
  hex: 'text',
  key: 'text',
  uuid: 'text',
  serial: 'integer primary key autoincrement',
  id: 'integer',
  number: 'integer',
  bytes: 'integer',
  flag: 'integer',
}

/** Maximum lines of `quick_check` in the message for a damaged file. */
const CHECK_LINES_MAX = 3

/** Opens SQLite in `file`; creates the file and its folder if needed. Throws an OperatorError. */
export function openSqlite(file: string): Dialect {
  let database: Libsql.Database
  let mask: number | undefined
  try {
    mkdirSync(dirname(file), { recursive: true, mode: 0o750 })
    // A new file is readable only by its owner: it contains keys. Workers cannot set the mask.
    if (isMainThread) mask = process.umask(0o077)
    database = new Libsql(file, { timeout: OPEN_MILLIS_MAX })
    for (const pragma of PRAGMAS) database.pragma(pragma)
    checkIntegrity(file, database)
    database.pragma(`busy_timeout = ${BUSY_MILLIS_MAX}`)
  } catch (error) {
    throw explain(file, error)
  } finally {
    if (mask !== undefined) process.umask(mask)
  }
  const identity = identityOf(file)
  const kysely = new Kysely<Tables>({
    dialect: {
      createAdapter: () => new SqliteAdapter(),
      createDriver: () =>
        new SqliteFileDriver(kyselyDatabase(database), () => {
          if (identityOf(file) !== identity) throw new Error(REPLACED)
        }),
      createIntrospector: db => new SqliteIntrospector(db),
      createQueryCompiler: () => new SqliteQueryCompiler(),
    },
  })
  return {
    kysely,
    address: file,
    upsert: 'on conflict',
    // SQLite's schemas are attached files; this connection does not have any.
    fold: name => name.replace(/^main\./, ''),
    type: kind => TYPES[kind],
    fits,
    number: value => sql`${value}`,
    async columns(table) {
      const { rows } = await sql<{ name: string; type: string; single: bigint }>`
        select name, lower(type) as type, (pk > 0 and 1 = (select count(*) from pragma_table_info(${table}) where pk > 0))
          or exists (select 1 from pragma_index_list(${table}) as i where "unique" and not partial
            and 1 = (select count(*) from pragma_index_info(i.name))
            and c.name = (select name from pragma_index_info(i.name))) as single
        from pragma_table_info(${table}) as c`.execute(kysely)
      if (rows.length === 0) return undefined
      return rows.map(({ name, type, single }) => ({ name, type, unique: single === 1n }))
    },
    mayRetry: error => /^SQLITE_(BUSY|LOCKED)/.test(codeOf(error)),
    isRowFault: error => /^SQLITE_(CONSTRAINT|MISMATCH|TOOBIG)/.test(codeOf(error)),
    explain: error => explain(file, error),
  }
}

/** SQLite's type affinity: a column stores a value unchanged unless its type converts it. */
function fits(kind: ColumnKind, type: string): boolean {
  if (kind === 'binary') return type === '' || /blob|binary/.test(type)
  if (kind === 'hex' || kind === 'key' || kind === 'uuid') return /char|clob|text/.test(type)
  return !/char|clob|text|blob|real|floa|doub/.test(type) && type !== ''
}

const REPLACED =
  'the file was removed or replaced while muster was running; restore it or restart muster'

/** Device and inode, which show whether the path still names the opened file. */
function identityOf(file: string): string {
  const found = statSync(file, { bigint: true, throwIfNoEntry: false })
  return found ? `${found.dev}:${found.ino}` : 'none'
}

/** Throws if pages of the file are damaged, which SQLite itself reports only once it reads them. */
function checkIntegrity(file: string, database: Libsql.Database): void {
  const lines = database.prepare(`pragma quick_check(${CHECK_LINES_MAX})`).all() as object[]
  const texts = lines.map(line => String(Object.values(line)[0]))
  if (texts.length === 1 && texts[0] === 'ok') return
  throw new OperatorError(
    `database.path: ${file} is damaged; restore it from a backup (${texts.join('; ')})`,
    ExitStatus.dataError,
  )
}

function explain(file: string, error: unknown) {
  if (error instanceof OperatorError) return error
  const message = `database.path: ${file}: ${messageOf(error)}`
  return codeOf(error) === 'SQLITE_NOTADB' ? configError([message]) : unavailableError(message)
}

class SqliteFileDriver extends SqliteDriver {
  readonly #checkFile: () => void

  constructor(database: SqliteDatabase, checkFile: () => void) {
    super({ database })
    this.#checkFile = checkFile
  }

  /** Acquires the write lock at the start: a read lock cannot always be upgraded later. */
  override async beginTransaction(connection: DatabaseConnection): Promise<void> {
    this.#checkFile()
    await connection.executeQuery(CompiledQuery.raw('begin immediate'))
  }
}

/** Adapts libsql to Kysely: prepared statements are cached, parameters converted. */
function kyselyDatabase(database: Libsql.Database): SqliteDatabase {
  const statements = new Map<string, SqliteStatement>()
  return {
    prepare(text) {
      const known = statements.get(text)
      if (known) return known
      // Totals may exceed 2^53, so integers arrive as BigInt.
      const statement = database.prepare(text).safeIntegers(true)
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
      // Statements that are not garbage-collected keep the file open; closing alone would leave the
      // write-ahead log beside it. On a full disk the log stays: the next start reads it.
      try {
        database.pragma('wal_checkpoint(truncate)')
      } catch {
        // The log holds every committed transaction.
      }
      database.close()
    },
  }
}

/**
 * libsql binds numbers as floating point, rejects an ArrayBuffer although it returns them, and
 * aborts the process for a boolean.
 */
function bindable(parameters: readonly unknown[]): unknown[] {
  return parameters.map(value => {
    if (typeof value === 'number' && Number.isSafeInteger(value)) return BigInt(value)
    if (value instanceof ArrayBuffer) return Buffer.from(value)
    return typeof value === 'boolean' ? BigInt(value) : (value ?? null)
  })
}
