import { DATABASE_PATH_FORMS } from './database-path.ts'
import {
  type BooleanKey,
  type SectionSchema,
  type StringKey,
  switchedOff,
  switchedOn,
} from './key-schema.ts'

/** PostgreSQL truncates longer names; MySQL allows one character more. */
const NAME_CHARACTERS_MAX = 63

/** Names become part of SQL statements, so the pattern allows nothing else. */
function tableName(name: string): StringKey {
  return {
    type: 'string',
    pattern: `^([A-Za-z_][A-Za-z0-9_]{0,${NAME_CHARACTERS_MAX - 1}}\\.)?[A-Za-z_][A-Za-z0-9_]{0,${NAME_CHARACTERS_MAX - 1}}$`,
    default: name,
    allowed:
      'a name of letters, digits and underscores, optionally with its schema in front, such as "site.torrents"',
    description:
      'Name of the table. For PostgreSQL, this and the column names are converted to lower case.',
  }
}

function column(name: string, content: string): StringKey {
  return {
    type: 'string',
    pattern: `^[A-Za-z_][A-Za-z0-9_]{0,${NAME_CHARACTERS_MAX - 1}}$`,
    default: name,
    allowed: 'a name of letters, digits and underscores',
    description: `Column of ${content}.`,
  }
}

function binary(content: string): BooleanKey {
  return switchedOn(
    `Store ${content} as 20 bytes (BLOB, BYTEA, BINARY(20)). With false, as 40 hexadecimal digits (TEXT, CHAR(40), VARCHAR(40)).`,
  )
}

const INFO_HASH = column('infohash', 'the info hash, the primary key')

const LIST_KEYS = {
  column_infohash: INFO_HASH,
  bin_type_infohash: binary('the info hash'),
}

/** A key that excludes one table from the database. */
function persistent(content: string): BooleanKey {
  return switchedOn(
    `Store ${content} in the database, if database.persistent is set. With false, the table is not used, and changes are lost when muster stops.`,
  )
}

/**
 * The database. Names and defaults are those of Torrust-Actix, so that its databases fit as they
 * are.
 */
export const DATABASE_SECTIONS = {
  database: {
    description: 'The database, which stores torrents, lists, keys and users.',
    list: false,
    environment: 'DATABASE__',
    restart: [
      'engine',
      'path',
      'persistent',
      'insert_vacant',
      'remove_action',
      'delete_silent_torrents',
      'update_completed',
      'update_peers',
      'chunk_size',
      'statement_timeout',
    ],
    keys: {
      engine: {
        type: 'string',
        enum: ['sqlite3', 'mysql', 'pgsql'],
        default: 'sqlite3',
        description:
          'Kind of database: sqlite3 is a local file, mysql a MySQL or MariaDB server, pgsql a PostgreSQL server.',
      },
      path: {
        type: 'string',
        format: 'database-path',
        default: 'sqlite://data/muster.db',
        allowed: `${DATABASE_PATH_FORMS.sqlite3}, ${DATABASE_PATH_FORMS.mysql} or ${DATABASE_PATH_FORMS.pgsql}`,
        description:
          'Location of the database. A file is relative to the working directory unless it starts with a slash, such as sqlite:///var/lib/muster/muster.db. In a user name or password, write characters other than letters and digits as %XX. Connections to a server are encrypted if the server can; ?sslmode=disable turns TLS off, ?sslmode=require demands it and ?sslmode=verify-full also checks the certificate. ?socket=PATH selects a Unix socket (for PostgreSQL, its directory). The password is masked wherever the configuration is printed.',
      },
      persistent: switchedOn(
        'Use a database. Without one, changes are lost when muster stops. The default of Torrust-Actix is false.',
      ),
      persistent_interval: {
        type: 'integer',
        default: 60,
        minimum: 1,
        maximum: 86_400,
        unit: 'seconds',
        description:
          'Seconds between writes of counters: completed downloads, and the bytes that users uploaded and downloaded. Changes made through the API are written at once.',
      },
      insert_vacant: switchedOff(
        'Add announced torrents to the database. Without keys, users and a whitelist, a torrent is added once it has peers of several addresses. With false, only torrents that are already in the database are updated.',
      ),
      remove_action: switchedOn(
        'Delete from the database what is deleted through the API. With false, the default of Torrust-Actix, the rows stay, and are loaded again at the next start.',
      ),
      delete_silent_torrents: switchedOff(
        'Delete torrents without an announce for tracker_config.peers_timeout from the database, with their counts.',
      ),
      update_completed: switchedOn("Write each torrent's count of completed downloads."),
      update_peers: switchedOff("Write each torrent's counts of seeders and leechers."),
      chunk_size: {
        type: 'integer',
        default: 1000,
        minimum: 0,
        maximum: 100_000,
        unit: 'rows',
        description: 'Rows per transaction. 0 writes all rows in one transaction.',
      },
      statement_timeout: {
        type: 'integer',
        default: 5,
        minimum: 1,
        maximum: 3600,
        unit: 'seconds',
        description:
          'Seconds that the database may take to answer a statement, and that a change may wait for earlier ones. After that, the change fails and the connection is closed.',
      },
    },
  },
  'database_structure.torrents': {
    description: 'The table of torrents.',
    list: false,
    environment: 'DATABASE_STRUCTURE__TORRENTS__',
    restart: 'all',
    keys: {
      table_name: tableName('torrents'),
      ...LIST_KEYS,
      column_seeds: column('seeds', 'the number of seeders'),
      column_peers: column('peers', 'the number of leechers'),
      column_completed: column('completed', 'the number of completed downloads'),
      persistent: persistent('torrents'),
    },
  },
  'database_structure.whitelist': {
    description: 'The table of info hashes that may be announced.',
    list: false,
    environment: 'DATABASE_STRUCTURE__WHITELIST__',
    restart: 'all',
    keys: {
      table_name: tableName('whitelist'),
      ...LIST_KEYS,
      persistent: persistent('the whitelist'),
    },
  },
  'database_structure.blacklist': {
    description: 'The table of info hashes that may not be announced.',
    list: false,
    environment: 'DATABASE_STRUCTURE__BLACKLIST__',
    restart: 'all',
    keys: {
      table_name: tableName('blacklist'),
      ...LIST_KEYS,
      persistent: persistent('the blacklist'),
    },
  },
  'database_structure.keys': {
    description: 'The table of tracker keys.',
    list: false,
    environment: 'DATABASE_STRUCTURE__KEYS__',
    restart: 'all',
    keys: {
      table_name: tableName('keys'),
      column_hash: column('hash', 'the key, the primary key of the table'),
      bin_type_hash: binary('the key'),
      column_timeout: column(
        'timeout',
        'the lifetime of the key in seconds, which Torrust-Actix adds to the time at which it loads the key; 0 means that it never expires',
      ),
      persistent: persistent('keys'),
    },
  },
  'database_structure.key_ends': {
    description:
      'The table of the times at which keys expire, so that a restart does not renew a key. Only muster uses it, and creates it when the database is first used.',
    list: false,
    environment: 'DATABASE_STRUCTURE__KEY_ENDS__',
    restart: 'all',
    keys: { table_name: tableName('key_ends') },
  },
  'database_structure.users': {
    description: 'The table of users.',
    list: false,
    environment: 'DATABASE_STRUCTURE__USERS__',
    restart: 'all',
    keys: {
      table_name: tableName('users'),
      id_uuid: switchedOn(
        'Identify users by the UUID in column_uuid. With false, by the number in column_id.',
      ),
      column_uuid: column('uuid', 'the UUID, the primary key with id_uuid = true'),
      column_id: column('id', 'the number, the primary key with id_uuid = false'),
      column_active: column('active', 'the flag that allows the user to announce, 1 or 0'),
      column_key: column('key', "the user's key"),
      bin_type_key: binary("the user's key"),
      column_uploaded: column('uploaded', 'the bytes uploaded'),
      column_downloaded: column('downloaded', 'the bytes downloaded'),
      column_completed: column('completed', 'the number of completed downloads'),
      column_updated: column('updated', 'the Unix time in seconds of the last change'),
      persistent: persistent('users'),
    },
  },
  'database_structure.user_torrents': {
    description:
      "The table of each user's counts in each torrent. muster creates it when users are enabled.",
    list: false,
    environment: 'DATABASE_STRUCTURE__USER_TORRENTS__',
    restart: 'all',
    keys: {
      table_name: tableName('user_torrents'),
      column_user: column('user_id', 'the id of the user'),
      column_infohash: column('infohash', 'the info hash'),
      column_uploaded: column('uploaded', 'the bytes uploaded, as reported'),
      column_downloaded: column('downloaded', 'the bytes downloaded, as reported'),
      column_credited_up: column('credited_up', 'the uploaded bytes that were credited'),
      column_credited_down: column('credited_down', 'the downloaded bytes that were credited'),
      column_idle_up: column('idle_up', 'the bytes uploaded while the torrent had no leecher'),
      column_seeding: column('seeding_seconds', 'the seconds of seeding'),
      column_left: column('bytes_left', 'the bytes left to download'),
      column_first: column('first_announce', 'the Unix time of the first announce'),
      column_last: column('last_announce', 'the Unix time of the last announce'),
      column_completed_at: column('completed_at', 'the Unix time of the last completed download'),
      column_completed: column('times_completed', 'the number of completed downloads'),
    },
  },
  'database_structure.sessions': {
    description:
      'The table of sessions. Only muster uses it, and creates it when users are enabled.',
    list: false,
    environment: 'DATABASE_STRUCTURE__SESSIONS__',
    restart: 'all',
    keys: { table_name: tableName('user_sessions') },
  },
  'database_structure.factors': {
    description:
      'The table of factors of credited bytes. Only muster uses it, and creates it when users are enabled.',
    list: false,
    environment: 'DATABASE_STRUCTURE__FACTORS__',
    restart: 'all',
    keys: { table_name: tableName('user_factors') },
  },
} as const satisfies Readonly<Record<string, SectionSchema>>
