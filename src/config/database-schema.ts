import { DATABASE_PATH_FORMS } from './database-path.ts'
import type { KeySchema, SectionSchema } from './key-schema.ts'

/** Longest name that PostgreSQL takes whole; MySQL takes one more. */
const NAME_CHARACTERS_MAX = 63

function flag(defaultValue: boolean, description: string): KeySchema {
  return { type: 'boolean', default: defaultValue, description }
}

/** Names go into SQL, so that nothing but a name may stand there. */
function tableName(name: string): KeySchema {
  return {
    type: 'string',
    pattern: `^([A-Za-z_][A-Za-z0-9_]{0,${NAME_CHARACTERS_MAX - 1}}\\.)?[A-Za-z_][A-Za-z0-9_]{0,${NAME_CHARACTERS_MAX - 1}}$`,
    default: name,
    allowed:
      'a name of letters, digits and underscores, with its schema and a dot before it or not',
    description: 'Name of the table. PostgreSQL gets this and the names of columns in lower case.',
  }
}

function column(name: string, description: string): KeySchema {
  return {
    type: 'string',
    pattern: `^[A-Za-z_][A-Za-z0-9_]{0,${NAME_CHARACTERS_MAX - 1}}$`,
    default: name,
    allowed: 'a name of letters, digits and underscores',
    description: `Column ${description}.`,
  }
}

function binary(what: string): KeySchema {
  return flag(
    true,
    `Whether ${what} is kept as 20 bytes (BLOB, BYTEA, BINARY(20)), else as 40 hexadecimal digits (TEXT, CHAR(40), VARCHAR(40)).`,
  )
}

function structure(
  name: string,
  description: string,
  keys: SectionSchema['keys'],
): Record<string, SectionSchema> {
  return {
    [`database_structure.${name}`]: {
      description,
      list: false,
      environment: `DATABASE_STRUCTURE__${name.toUpperCase()}__`,
      restart: 'all' as const,
      keys: { table_name: tableName(name), ...keys },
    },
  }
}

const INFO_HASH = column('infohash', 'of the info hash, the primary key')

/** Where what the operator changes is kept. Names and defaults are those of Torrust-Actix, so that its databases fit as they are. */
export const DATABASE_SECTIONS: Readonly<Record<string, SectionSchema>> = {
  database: {
    description: 'The database that keeps torrents, lists, keys and users.',
    list: false,
    environment: 'DATABASE__',
    restart: [
      'engine',
      'path',
      'persistent',
      'insert_vacant',
      'remove_action',
      'update_completed',
      'update_peers',
      'chunk_size',
    ],
    keys: {
      engine: {
        type: 'string',
        enum: ['sqlite3', 'mysql', 'pgsql'],
        default: 'sqlite3',
        description:
          'Kind of the database: sqlite3, a file of its own; mysql, a MySQL or MariaDB server; pgsql, a PostgreSQL server.',
      },
      path: {
        type: 'string',
        format: 'database-path',
        default: 'sqlite://data/muster.db',
        allowed: `${DATABASE_PATH_FORMS.sqlite3}, ${DATABASE_PATH_FORMS.mysql} or ${DATABASE_PATH_FORMS.pgsql}`,
        description:
          'Where the database is. A file is relative to the working directory unless it begins with a slash: sqlite:///var/lib/muster/muster.db. What is not a letter or digit in a user or password is written as %XX. A server takes ?sslmode=require or ?sslmode=verify-full for TLS, and ?socket=PATH for a Unix socket (PostgreSQL: its folder). The password is masked wherever the configuration is printed.',
      },
      persistent: flag(
        true,
        'Whether a database is used at all. Without one, what is changed is forgotten when muster stops. Torrust-Actix has false here.',
      ),
      persistent_interval: {
        type: 'integer',
        default: 60,
        minimum: 1,
        maximum: 86_400,
        description:
          'Seconds between writes of counters: completed downloads, and uploaded and downloaded bytes of users. What the API changes is written at once.',
      },
      insert_vacant: flag(
        false,
        'Whether torrents that clients announce are added to the database; else only those are updated that are there.',
      ),
      remove_action: flag(
        false,
        'Whether torrents that the tracker has forgotten are removed from the database.',
      ),
      update_completed: flag(true, 'Whether completed downloads are written for torrents.'),
      update_peers: flag(false, 'Whether counts of seeders and leechers are written for torrents.'),
      chunk_size: {
        type: 'integer',
        default: 1000,
        minimum: 1,
        maximum: 100_000,
        description: 'Rows written in one transaction.',
      },
    },
  },
  ...structure('torrents', 'The table of torrents.', {
    column_infohash: INFO_HASH,
    bin_type_infohash: binary('the info hash'),
    column_seeds: column('seeds', 'of the count of seeders'),
    column_peers: column('peers', 'of the count of leechers'),
    column_completed: column('completed', 'of the count of completed downloads'),
    persistent: flag(true, 'Whether torrents are kept in the database, where it is persistent.'),
  }),
  ...structure('whitelist', 'The table of info hashes that may be announced.', {
    column_infohash: INFO_HASH,
    bin_type_infohash: binary('the info hash'),
  }),
  ...structure('blacklist', 'The table of info hashes that may not be announced.', {
    column_infohash: INFO_HASH,
    bin_type_infohash: binary('the info hash'),
  }),
  ...structure('keys', 'The table of keys that open the tracker.', {
    column_hash: column('hash', 'of the key, the primary key of the table'),
    bin_type_hash: binary('the key'),
    column_timeout: column(
      'timeout',
      'of the Unix time in seconds at which the key ends; 0 for never',
    ),
  }),
  ...structure('users', 'The table of users.', {
    id_uuid: flag(
      true,
      'Whether users are numbered by UUID in column_uuid, else by number in column_id.',
    ),
    column_uuid: column('uuid', 'of the UUID, the primary key with id_uuid = true'),
    column_id: column('id', 'of the number, the primary key with id_uuid = false'),
    column_active: column('active', 'of whether the user may announce, 1 or 0'),
    column_key: column('key', "of the user's key"),
    bin_type_key: binary("the user's key"),
    column_uploaded: column('uploaded', 'of the bytes uploaded'),
    column_downloaded: column('downloaded', 'of the bytes downloaded'),
    column_completed: column('completed', 'of the count of completed downloads'),
    column_updated: column('updated', 'of the Unix time in seconds of the last change'),
  }),
}
