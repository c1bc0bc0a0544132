import { Ajv } from 'ajv'
import type { Database, KeyRow, ListRow, Table, TorrentRow, UserRow } from '../database/database.ts'

/** The stored data by kind: one row of it is a line of an export. */
export type Rows = {
  readonly torrent: TorrentRow
  readonly whitelist: ListRow
  readonly blacklist: ListRow
  readonly key: KeyRow
  readonly user: UserRow
}
export type Kind = keyof Rows

export const KINDS: readonly Kind[] = ['torrent', 'whitelist', 'blacklist', 'key', 'user']

export type Counts = Record<Kind, number>

/** The file of each table in the format of Torrust-Actix. */
export type TorrustActixFiles = Readonly<Record<Kind, string>>

export function noCounts(): Counts {
  return { torrent: 0, whitelist: 0, blacklist: 0, key: 0, user: 0 }
}

/** The database's table of a kind. */
export function tableOf<K extends Kind>(database: Database, kind: K): Table<Rows[K]> {
  const tables: { [Each in Kind]: Table<Rows[Each]> } = {
    torrent: database.torrents,
    whitelist: database.whitelist,
    blacklist: database.blacklist,
    key: database.keys,
    user: database.users,
  }
  return tables[kind]
}

const hash = { type: 'string', pattern: '^[0-9a-f]{40}$' } as const
/** A key: 40 hexadecimal digits, or with key_format = "text" what protocol/key.ts allows. */
const key = { type: 'string', pattern: '^([0-9a-f]{40}|[\\w.~-]{8,64})$' } as const
const count = { type: 'integer', minimum: 0, maximum: Number.MAX_SAFE_INTEGER } as const

/** Bytes: a number, or its digits if it is too large for JSON's exact numbers. */
const bytes = { anyOf: [count, { type: 'string', pattern: '^[0-9]{1,19}$' }] } as const

function shape(properties: object): object {
  return { type: 'object', properties, required: Object.keys(properties) }
}

const ajv = new Ajv()
const VALID = {
  torrent: ajv.compile(shape({ hash, seeds: count, peers: count, completed: count })),
  whitelist: ajv.compile(shape({ hash })),
  blacklist: ajv.compile(shape({ hash })),
  key: ajv.compile(shape({ hash: key, timeout: count })),
  user: ajv.compile(
    shape({
      id: { type: 'string', minLength: 1 },
      key,
      uploaded: bytes,
      downloaded: bytes,
      completed: count,
      updated: count,
      active: { type: 'boolean' },
    }),
  ),
}

/** Describes why `value` is not a row of this kind, or returns undefined. */
export function faultOfRow(kind: Kind, value: unknown): string | undefined {
  const valid = VALID[kind]
  if (valid(value)) return undefined
  const [error] = valid.errors ?? []
  return `${error?.instancePath.slice(1) || kind}: ${error?.message ?? 'is not allowed'}`
}

/** Converts a value that `faultOfRow` accepted to a row. */
export function toRow<K extends Kind>(kind: K, value: object): Rows[K] {
  if (kind !== 'user') return value as Rows[K]
  const { uploaded, downloaded } = value as Record<'uploaded' | 'downloaded', number | string>
  return { ...value, uploaded: BigInt(uploaded), downloaded: BigInt(downloaded) } as never
}

/** The JSON text of a row, in which every number is exact. */
export function rowText(kind: Kind, row: object): string {
  return JSON.stringify({ kind, ...row }, (_, field: unknown) => {
    if (typeof field !== 'bigint') return field
    return field <= Number.MAX_SAFE_INTEGER ? Number(field) : String(field)
  })
}
