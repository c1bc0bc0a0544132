export type DatabaseEngine = 'sqlite3' | 'mysql' | 'pgsql'

/** The parts of `database.path`. */
export type DatabasePath =
  | { readonly engine: 'sqlite3'; readonly file: string }
  | ({ readonly engine: 'mysql' | 'pgsql' } & ServerAddress)

export type ServerAddress = {
  readonly host: string
  readonly port: number
  readonly user: string
  readonly password: string
  readonly database: string
  /** A socket file (MySQL) or its directory (PostgreSQL), used instead of host and port. */
  readonly socket?: string
  /** `require` encrypts and accepts any certificate; `verify-full` checks it for the host name. */
  readonly tls: 'disable' | 'require' | 'verify-full'
}

/** The form of a path for each engine, for error messages. */
export const DATABASE_PATH_FORMS: Readonly<Record<DatabaseEngine, string>> = {
  sqlite3: 'sqlite://FILE',
  mysql: 'mysql://USER:PASSWORD@HOST:PORT/DATABASE',
  pgsql: 'postgres://USER:PASSWORD@HOST:PORT/DATABASE',
}

const SERVERS: Readonly<Record<string, { engine: 'mysql' | 'pgsql'; port: number }>> = {
  'mysql:': { engine: 'mysql', port: 3306 },
  'mariadb:': { engine: 'mysql', port: 3306 },
  'postgres:': { engine: 'pgsql', port: 5432 },
  'postgresql:': { engine: 'pgsql', port: 5432 },
}

/** Parses `database.path`. Returns undefined if it is not valid. */
export function parseDatabasePath(text: string): DatabasePath | undefined {
  const [, file] = /^sqlite:\/\/([^?]+)(?:\?.*)?$/.exec(text) ?? []
  if (file !== undefined) return { engine: 'sqlite3', file }
  try {
    return parseServer(new URL(text))
  } catch (error) {
    // Thrown by URL, and by decodeURIComponent for a lone percent sign.
    if (error instanceof TypeError || error instanceof URIError) return undefined
    throw error
  }
}

function parseServer(url: URL): DatabasePath | undefined {
  const server = SERVERS[url.protocol]
  const database = decodeURIComponent(url.pathname.slice(1))
  const { searchParams, hostname } = url
  const tls = searchParams.get('sslmode') ?? searchParams.get('ssl-mode') ?? 'disable'
  const socket = searchParams.get('socket') ?? searchParams.get('host')
  const known = [...searchParams.keys()].every(key =>
    ['sslmode', 'ssl-mode', 'socket', 'host'].includes(key),
  )
  if (!server || !known || !database || database.includes('/') || !url.username) return undefined
  if (!hostname) return undefined
  if (socket && !socket.startsWith('/')) return undefined
  if (tls !== 'disable' && tls !== 'require' && tls !== 'verify-full') return undefined
  return {
    engine: server.engine,
    host: hostname.replace(/^\[(.*)\]$/, '$1'),
    port: url.port === '' ? server.port : Number(url.port),
    user: decodeURIComponent(url.username),
    password: decodeURIComponent(url.password),
    database,
    ...(socket && { socket }),
    tls,
  }
}

/**
 * Masks the password of a URL in `text`, up to the last @, so that a password that is not escaped
 * is masked too.
 */
export function maskPassword(text: string): string {
  return text.replace(/(:\/\/[^:@/]*:).*(?=@)/s, '$1********')
}
