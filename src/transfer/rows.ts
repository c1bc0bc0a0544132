import { Ajv, type ValidateFunction } from 'ajv'
import type { Database } from '../database/database.ts'
import type { FactorRow } from '../database/factors.ts'
import type { LedgerPart } from '../database/ledger-parts.ts'
import type { LedgerRow, SessionRow } from '../database/ledger-rows.ts'
import type { KeyRow, ListRow, TorrentRow, UserRow } from '../database/rows.ts'
import type { Table } from '../database/table.ts'
import type { KeyFormat } from '../protocol/key.ts'

/** The stored data by kind: one row of it is a line of an export. */
export type Rows = {
  readonly torrent: TorrentRow
  readonly whitelist: ListRow
  readonly blacklist: ListRow
  readonly key: KeyRow
  readonly user: UserRow
}
export type Kind = keyof Rows

/** The ledger of users, by kind. Torrust-Actix does not have it. */
export type LedgerRows = {
  readonly user_torrent: LedgerRow
  readonly user_session: SessionRow
  readonly user_factor: FactorRow
}
export type LedgerKind = keyof LedgerRows
/** Every kind of line in an export. */
export type AnyRows = Rows & LedgerRows
export type AnyKind = keyof AnyRows

export const KINDS: readonly Kind[] = ['torrent', 'whitelist', 'blacklist', 'key', 'user']

export const LEDGER_KINDS: readonly LedgerKind[] = ['user_torrent', 'user_session', 'user_factor']

export type Counts = Record<AnyKind, number>

/** The file of each table in the format of Torrust-Actix. */
export type TorrustActixFiles = Readonly<Record<Kind, string>>

export function noCounts(): Counts {
  return {
    torrent: 0,
    whitelist: 0,
    blacklist: 0,
    key: 0,
    user: 0,
    user_torrent: 0,
    user_session: 0,
    user_factor: 0,
  }
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

/** The table of the ledger of a kind. */
export function ledgerPartOf<K extends LedgerKind>(
  { ledger }: Database,
  kind: K,
): LedgerPart<LedgerRows[K]> {
  const { torrents, sessions, factors } = ledger.parts
  const parts: { [Each in LedgerKind]: LedgerPart<LedgerRows[Each]> } = {
    user_torrent: torrents,
    user_session: sessions,
    user_factor: factors,
  }
  return parts[kind]
}

const hash = { type: 'string', pattern: '^[0-9a-f]{40}$' } as const
/** Keys by their format (protocol/key.ts), as they are stored. */
const KEYS = {
  hex: hash,
  text: { type: 'string', pattern: '^([0-9a-f]{40}|[\\w.~-]{8,64})$' },
} as const
const count = { type: 'integer', minimum: 0, maximum: Number.MAX_SAFE_INTEGER } as const

/** Bytes: a number, or its digits if it is too large for JSON's exact numbers. */
const bytes = { anyOf: [count, { type: 'string', pattern: '^[0-9]{1,19}$' }] } as const

function shape(properties: object): object {
  return { type: 'object', properties, required: Object.keys(properties) }
}

const ajv = new Ajv()

function validatorsOfKeys(format: KeyFormat): Record<'key' | 'user', ValidateFunction> {
  const key = KEYS[format]
  return {
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
}

const VALID: Readonly<Record<AnyKind, ValidateFunction>> = {
  torrent: ajv.compile(shape({ hash, seeds: count, peers: count, completed: count })),
  whitelist: ajv.compile(shape({ hash })),
  blacklist: ajv.compile(shape({ hash })),
  ...validatorsOfKeys('hex'),
  user_torrent: ajv.compile(
    shape({
      user: { type: 'string', minLength: 1 },
      hash,
      uploaded: bytes,
      downloaded: bytes,
      creditedUp: bytes,
      creditedDown: bytes,
      idleUp: bytes,
      seeding: count,
      completed: count,
      left: count,
      first: count,
      last: count,
      completedAt: count,
    }),
  ),
  user_session: ajv.compile(
    shape({
      user: { type: 'string', minLength: 1 },
      hash,
      peerId: hash,
      uploaded: count,
      downloaded: count,
      finalUp: count,
      finalDown: count,
      left: count,
      restarted: count,
      first: count,
      seen: count,
      state: count,
    }),
  ),
  user_factor: ajv.compile(
    shape({
      user: { type: 'string', minLength: 1 },
      hash,
      upload: count,
      download: count,
      until: count,
    }),
  ),
}

const VALID_BY_FORMAT = { hex: VALID, text: { ...VALID, ...validatorsOfKeys('text') } }

/** Fields of bytes, which may exceed 2^53. */
const BYTE_FIELDS: Partial<Record<AnyKind, readonly string[]>> = {
  user: ['uploaded', 'downloaded'],
  user_torrent: ['uploaded', 'downloaded', 'creditedUp', 'creditedDown', 'idleUp'],
}

/** Describes why `value` is not a row of this kind, or returns undefined. */
export function faultOfRow(kind: AnyKind, value: unknown, format: KeyFormat): string | undefined {
  const valid = VALID_BY_FORMAT[format][kind]
  if (valid(value)) return undefined
  const [error] = valid.errors ?? []
  return `${error?.instancePath.slice(1) || kind}: ${error?.message ?? 'is not allowed'}`
}

/** Converts a value that `faultOfRow` accepted to a row. */
export function toRow<K extends AnyKind>(kind: K, value: object): AnyRows[K] {
  const fields: readonly string[] = BYTE_FIELDS[kind] ?? []
  if (fields.length === 0) return value as AnyRows[K]
  const entries = Object.entries(value).map(([name, field]: [string, number | string]) => [
    name,
    fields.includes(name) ? BigInt(field) : field,
  ])
  return Object.fromEntries(entries) as AnyRows[K]
}

/** The JSON text of a row, in which every number is exact. */
export function rowText(kind: AnyKind, row: object): string {
  return JSON.stringify({ kind, ...row }, (_, field: unknown) => {
    if (typeof field !== 'bigint') return field
    return field <= Number.MAX_SAFE_INTEGER ? Number(field) : String(field)
  })
}
