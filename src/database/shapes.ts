import type { DatabaseStructureConfig, ListTableConfig } from '../config/config.ts'
import type { KeyFormat } from '../protocol/key.ts'
import type { Column, ColumnKind, ColumnOutline } from './columns.ts'
import type { KeyEndRow, LifetimeRow, ListRow, TorrentRow, UserRow } from './rows.ts'

/** A table, its primary key, and its other columns. */
export type TableOutline = {
  /** Section of config.toml that names it. */
  readonly section: string
  readonly table: string
  readonly primary: ColumnOutline
  readonly others: readonly ColumnOutline[]
  /** A column beside the primary key by which rows are found. */
  readonly indexed?: ColumnOutline
}

/** A table, and the rows that it stores. */
export type Shape<Row> = Omit<TableOutline, 'primary' | 'others'> & {
  readonly primary: Column<Row>
  readonly others: readonly Column<Row>[]
}

export type KeyShapes = {
  readonly keys: Shape<LifetimeRow>
  readonly keyEnds: Shape<KeyEndRow>
}

export type Shapes = KeyShapes & {
  readonly torrents: Shape<TorrentRow>
  readonly whitelist: Shape<ListRow>
  readonly blacklist: Shape<ListRow>
  readonly users: Shape<UserRow> & { readonly indexed: Column<UserRow> }
}

/**
 * The five tables as the configuration names them; `fold` converts a name to the form in which the
 * database stores it.
 */
export function tableShapes(
  config: DatabaseStructureConfig,
  format: KeyFormat,
  fold: (name: string) => string,
): Shapes {
  const { torrents } = config
  return {
    torrents: {
      section: 'torrents',
      table: fold(torrents.table_name),
      primary: infoHash(torrents, fold),
      others: [
        { name: fold(torrents.column_seeds), kind: 'number', field: 'seeds', key: 'column_seeds' },
        { name: fold(torrents.column_peers), kind: 'number', field: 'peers', key: 'column_peers' },
        {
          name: fold(torrents.column_completed),
          kind: 'number',
          field: 'completed',
          key: 'column_completed',
        },
      ],
    },
    whitelist: list('whitelist', config.whitelist, fold),
    blacklist: list('blacklist', config.blacklist, fold),
    ...keyShapes(config, format, fold),
    users: users(config.users, format, fold),
  }
}

function infoHash(
  config: { readonly column_infohash: string; readonly bin_type_infohash: boolean },
  fold: (name: string) => string,
): Column<{ readonly hash: string }> {
  return {
    name: fold(config.column_infohash),
    kind: config.bin_type_infohash ? 'binary' : 'hex',
    field: 'hash',
    key: 'column_infohash',
  }
}

function list(
  section: string,
  config: ListTableConfig,
  fold: (name: string) => string,
): Shape<ListRow> {
  return { section, table: fold(config.table_name), primary: infoHash(config, fold), others: [] }
}

function users(
  config: DatabaseStructureConfig['users'],
  format: KeyFormat,
  fold: (name: string) => string,
): Shapes['users'] {
  const idKey = config.id_uuid ? 'column_uuid' : 'column_id'
  const indexed: Column<UserRow> = {
    name: fold(config.column_key),
    kind: keyKind(format, config.bin_type_key),
    field: 'key',
    key: 'column_key',
  }
  const kinds = {
    uploaded: 'bytes',
    downloaded: 'bytes',
    completed: 'number',
    active: 'flag',
    updated: 'number',
  } as const
  const counts = (Object.keys(kinds) as (keyof typeof kinds)[]).map(
    (field): Column<UserRow> => ({
      name: fold(config[`column_${field}`]),
      kind: kinds[field],
      field,
      key: `column_${field}`,
    }),
  )
  return {
    section: 'users',
    table: fold(config.table_name),
    primary: {
      name: fold(config[idKey]),
      kind: config.id_uuid ? 'uuid' : 'serial',
      field: 'id',
      key: idKey,
    },
    others: [indexed, ...counts],
    indexed,
  }
}

function keyShapes(
  { keys, key_ends: keyEnds }: DatabaseStructureConfig,
  format: KeyFormat,
  fold: (name: string) => string,
): KeyShapes {
  const kind = keyKind(format, keys.bin_type_hash)
  return {
    keys: {
      section: 'keys',
      table: fold(keys.table_name),
      primary: { name: fold(keys.column_hash), kind, field: 'hash', key: 'column_hash' },
      others: [
        {
          name: fold(keys.column_timeout),
          kind: 'number',
          field: 'timeout',
          key: 'column_timeout',
        },
      ],
    },
    keyEnds: {
      section: 'key_ends',
      table: fold(keyEnds.table_name),
      primary: { name: 'hash', kind, field: 'hash', key: 'table_name' },
      others: [
        { name: 'lifetime', kind: 'number', field: 'lifetime', key: 'table_name' },
        { name: 'ends_at', kind: 'number', field: 'end', key: 'table_name' },
      ],
    },
  }
}

/** Keys that may be other than 40 hexadecimal digits are stored as text. */
function keyKind(format: KeyFormat, isBinary: boolean): ColumnKind {
  if (format === 'text') return 'key'
  return isBinary ? 'binary' : 'hex'
}
