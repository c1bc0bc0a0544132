import { createPool } from 'mysql2'
import type { ServerAddress } from '../config/database-path.ts'
import { configError, unavailableError } from '../errors.ts'
import type { ColumnKind } from './columns.ts'
import { codeOf, type Dialect, messageOf, type Tables } from './dialect.ts'
import { CompiledQuery, Kysely, MysqlDialect, sql } from './kysely.ts'
import { limitMysql } from './time-limit.ts'

/** One connection writes, the others load. */
const CONNECTIONS_MAX = 4

/**
 * Set for each connection, whatever the server's default is: a value that does not fit is an error
 * and is not truncated; an id of 0 is 0; a backslash in a text literal escapes, which the driver
 * assumes when it writes literals.
 */
const SQL_MODE = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION,NO_AUTO_VALUE_ON_ZERO'

const TYPES: Readonly<Record<ColumnKind, string>> = {
  binary: 'binary(20)',
  hex: 'varchar(40)',
  // The default collation would take keys that differ in case for one.
  key: 'varchar(64) character set ascii collate ascii_bin',
  uuid: 'varchar(36)',
  serial: 'bigint unsigned not null auto_increment primary key',
  id: 'bigint unsigned',
  number: 'bigint unsigned',
  bytes: 'bigint unsigned',
  flag: 'tinyint',
}

const FITTING: Readonly<Record<ColumnKind, RegExp>> = {
  binary: /^binary\(20\)$|^varbinary|blob$/,
  hex: /^(var)?char|text$/,
  key: /^(var)?char|text$/,
  uuid: /^(var)?char|text$|^uuid$/,
  serial: /^int|^bigint|^decimal/,
  id: /^int|^bigint|^decimal/,
  number: /^int|^bigint|^decimal/,
  bytes: /^bigint|^decimal/,
  flag: /^tinyint|^smallint|^mediumint|^int|^bigint|^decimal/,
}

/** Length that a column must have, if its type states one. */
const LENGTHS: Readonly<Partial<Record<ColumnKind, number>>> = {
  binary: 20,
  hex: 40,
  key: 64,
  uuid: 36,
}

/** Deadlocks and lock timeouts, a row that changed meanwhile, a lost connection. */
const PASSING = new Set([
  'ER_LOCK_DEADLOCK',
  'ER_LOCK_WAIT_TIMEOUT',
  'ER_CHECKREAD',
  'ER_SERVER_SHUTDOWN',
  'ER_CONNECTION_KILLED',
  'PROTOCOL_CONNECTION_LOST',
  'ECONNRESET',
  'EPIPE',
])

/** Wrong password or user, missing database, missing privilege. */
const MISTAKEN = /^ER_(\w*ACCESS_DENIED\w*|BAD_DB_ERROR)$/

/** SQLSTATEs: a value that a column, a constraint or a trigger rejects. */
const ROW_FAULT = /^(22|23|45)/

/** A pool of connections to MySQL or MariaDB; the first statement opens the first one. */
export function openMysql(server: ServerAddress, timeoutMillis: number): Dialect {
  const { host, port, socket, user, password, database, tls } = server
  const address = `mysql://${socket ?? `${host}:${port}`}/${database}`
  const pool = createPool({
    ...(socket ? { socketPath: socket } : { host, port }),
    user,
    password,
    database,
    connectionLimit: CONNECTIONS_MAX,
    connectTimeout: timeoutMillis,
    // Numbers above 2^53 arrive as text instead of a rounded number.
    supportBigNumbers: true,
    ...(tls !== 'disable' && { ssl: { rejectUnauthorized: tls === 'verify-full' } }),
  })
  const kysely = new Kysely<Tables>({
    dialect: new MysqlDialect({
      pool: limitMysql(pool, timeoutMillis),
      async onCreateConnection(connection) {
        await connection.executeQuery(CompiledQuery.raw(`set session sql_mode = '${SQL_MODE}'`))
      },
    }),
  })
  return {
    kysely,
    address,
    upsert: 'on duplicate key',
    fold: name => name,
    type: kind => TYPES[kind],
    fits: (kind, type) => FITTING[kind].test(type) && longEnough(kind, type),
    number: value => sql`${value}`,
    async columns(table) {
      const [name, schema] = table.split('.').reverse()
      const { rows } = await sql<{ name: string; type: string; single: number }>`
        select c.column_name as name, c.column_type as type, exists (
          select 1 from information_schema.statistics as s
          where s.table_schema = c.table_schema and s.table_name = c.table_name
            and s.non_unique = 0 and s.sub_part is null
          group by s.index_name
          having count(*) = 1 and max(s.column_name) = c.column_name) as single
        from information_schema.columns as c
        where c.table_schema = coalesce(${schema ?? null}, database()) and c.table_name = ${name}
      `.execute(kysely)
      if (rows.length === 0) return undefined
      return rows.map(({ name, type, single }) => ({
        name,
        type: type.toLowerCase(),
        unique: Number(single) === 1,
      }))
    },
    mayRetry: error =>
      PASSING.has(codeOf(error)) || messageOf(error).endsWith('connection is in closed state'),
    isRowFault: error => ROW_FAULT.test((error as { sqlState?: string }).sqlState ?? ''),
    explain(error) {
      const message = `database.path: ${address}: ${messageOf(error)}`
      return MISTAKEN.test(codeOf(error)) ? configError([message]) : unavailableError(message)
    },
  }
}

function longEnough(kind: ColumnKind, type: string): boolean {
  const [, length] = /^(?:var)?(?:char|binary)\((\d+)\)/.exec(type) ?? []
  return length === undefined || Number(length) >= (LENGTHS[kind] ?? 0)
}
