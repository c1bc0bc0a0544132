import pg from 'pg'
import type { ServerAddress } from '../config/database-path.ts'
import { configError, unavailableError } from '../errors.ts'
import type { ColumnKind } from './columns.ts'
import { codeOf, type Dialect, type FoundColumn, messageOf, type Tables } from './dialect.ts'
import { Kysely, PostgresDialect, sql } from './kysely.ts'
import { limitPostgres } from './time-limit.ts'

/** One connection writes, the others load. */
const CONNECTIONS_MAX = 4

const TYPES: Readonly<Record<ColumnKind, string>> = {
  binary: 'bytea',
  hex: 'character(40)',
  key: 'character varying(64)',
  uuid: 'character(36)',
  serial: 'bigserial primary key',
  id: 'bigint',
  number: 'bigint',
  bytes: 'bigint',
  flag: 'smallint',
}

const FITTING: Readonly<Record<ColumnKind, RegExp>> = {
  binary: /^bytea$/,
  hex: /^text$|^character/,
  key: /^text$|^character varying/,
  uuid: /^text$|^uuid$|^character/,
  serial: /^integer$|^bigint$|^numeric/,
  id: /^integer$|^bigint$|^numeric/,
  number: /^integer$|^bigint$|^numeric/,
  bytes: /^bigint$|^numeric/,
  flag: /^smallint$|^integer$|^bigint$|^numeric/,
}

/** SQLSTATEs: connection lost; serialization, deadlock; server stopping or starting. */
const PASSING = /^(08...|40001|40P01|57P0[123]|ECONNRESET|EPIPE)$/

/** The driver's own errors have no code. */
const LOST = /^Connection terminated|not queryable$/

/** Wrong password or user, missing database or schema, missing privilege. */
const MISTAKEN = /^(28...|3D000|3F000|42501)$/

/** A pool of connections to PostgreSQL; the first statement opens the first one. */
export function openPostgres(server: ServerAddress, timeoutMillis: number): Dialect {
  const { host, port, socket, user, password, database, tls } = server
  const address = `postgres://${socket ?? `${host}:${port}`}/${database}`
  const pool = new pg.Pool({
    host: socket ?? host,
    port,
    user,
    password,
    database,
    max: CONNECTIONS_MAX,
    connectionTimeoutMillis: timeoutMillis,
    keepAlive: true,
    application_name: 'muster',
    ssl: tls === 'disable' ? false : { rejectUnauthorized: tls === 'verify-full' },
  })
  const limited = limitPostgres(pool, timeoutMillis)
  // A broken connection fails its statements; without a listener the event would end the process.
  pool.on('error', () => undefined)
  pool.on('connect', client => {
    client.on('error', () => undefined)
    limited.track(client)
  })
  const kysely = new Kysely<Tables>({ dialect: new PostgresDialect({ pool: limited }) })
  return {
    kysely,
    address,
    upsert: 'on conflict',
    // PostgreSQL does the same with unquoted names, and Torrust-Actix does not quote them.
    fold: name => name.toLowerCase(),
    type: kind => TYPES[kind],
    fits: (kind, type) => FITTING[kind].test(type) && longEnough(kind, type),
    number: value => sql`${value}::bigint`,
    async columns(table) {
      const quoted = table
        .split('.')
        .map(part => `"${part}"`)
        .join('.')
      const { rows } = await sql<FoundColumn>`
        select attname as name, format_type(atttypid, atttypmod) as type,
          exists (select 1 from pg_index where indrelid = attrelid and indisunique and indisvalid
            and indpred is null and indnkeyatts = 1 and indkey[0] = attnum) as unique
        from pg_attribute
        where attrelid = to_regclass(${quoted}) and attnum > 0 and not attisdropped`.execute(kysely)
      return rows.length === 0 ? undefined : rows
    },
    mayRetry: error => PASSING.test(codeOf(error)) || LOST.test(messageOf(error)),
    isRowFault: error => /^(22...|23...|P0001)$/.test(codeOf(error)),
    explain(error) {
      const message = `database.path: ${address}: ${messageOf(error)}`
      return MISTAKEN.test(codeOf(error)) ? configError([message]) : unavailableError(message)
    },
  }
}

function longEnough(kind: ColumnKind, type: string): boolean {
  const [, length] = /^character.*\((\d+)\)/.exec(type) ?? []
  return length === undefined || Number(length) >= (kind === 'uuid' ? 36 : 40)
}
