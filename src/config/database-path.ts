export type DatabaseEngine = 'sqlite3' | 'mysql' | 'pgsql'

/** The parts of `database.path`. */
export type DatabasePath =
  | { readonly engine: 'sqlite3'; readonly file: string }
  | ({ readonly engine: 'mysql' | 'pgsql' } & ServerAddress)

/**
 * `prefer` encrypts if the server can, and accepts any certificate, like `require`. `verify-full`
 * checks the certificate and its host name.
 */
export type DatabaseTls = 'disable' | 'prefer' | 'require' | 'verify-full'

export type ServerAddress = {
  readonly host: string
  readonly port: number
  /** Empty if the path has no user: the driver's default applies. */
  readonly user: string
  readonly password: string
  readonly database: string
  /** A socket file (MySQL) or its directory (PostgreSQL), used instead of host and port. */
  readonly socket?: string
  readonly tls: DatabaseTls
}

/** A path that is not valid: completes the sentence "must ...". */
export type PathFault = { readonly fault: string }

/** The form of a path for each engine, for error messages. */
export const DATABASE_PATH_FORMS: Readonly<Record<DatabaseEngine, string>> = {
  sqlite3: 'sqlite://FILE',
  mysql: 'mysql://USER:PASSWORD@HOST:PORT/DATABASE',
  pgsql: 'postgres://USER:PASSWORD@HOST:PORT/DATABASE',
}

const FORMS = `be ${DATABASE_PATH_FORMS.sqlite3}, ${DATABASE_PATH_FORMS.mysql} or ${DATABASE_PATH_FORMS.pgsql}`

const SERVERS: Readonly<Record<string, { engine: 'mysql' | 'pgsql'; port: number }>> = {
  'mysql:': { engine: 'mysql', port: 3306 },
  'mariadb:': { engine: 'mysql', port: 3306 },
  'postgres:': { engine: 'pgsql', port: 5432 },
  'postgresql:': { engine: 'pgsql', port: 5432 },
}

/** Values of sslmode (PostgreSQL) and ssl-mode (MySQL), in lower case. */
const TLS_MODES: Readonly<Record<string, DatabaseTls>> = {
  disable: 'disable',
  disabled: 'disable',
  allow: 'prefer',
  prefer: 'prefer',
  preferred: 'prefer',
  require: 'require',
  required: 'require',
  'verify-ca': 'verify-full',
  verify_ca: 'verify-full',
  'verify-full': 'verify-full',
  verify_identity: 'verify-full',
}

/** Options of sqlx that muster reads. */
const OPTIONS = new Set([
  ...['sslmode', 'ssl-mode', 'socket', 'host', 'hostaddr'],
  ...['port', 'user', 'password', 'dbname'],
])

/** Options of sqlx that do not matter to muster. */
const IGNORED_OPTIONS = new Set([
  ...['application_name', 'charset', 'collation', 'statement-cache-capacity', 'timezone'],
])

/** Options of sqlx that select certificates. */
const CERTIFICATE_OPTION = /^ssl-?(root)?(ca|cert|key)$/

/** Parses `database.path`. Returns undefined if it is not valid. */
export function parseDatabasePath(text: string): DatabasePath | undefined {
  const path = readDatabasePath(text)
  return 'fault' in path ? undefined : path
}

/** Parses `database.path`, in the forms that sqlx accepts. */
export function readDatabasePath(text: string): DatabasePath | PathFault {
  const [, file, options = ''] = /^sqlite:(?:\/\/|(?!\/\/))([^?]+)(?:\?(.*))?$/.exec(text) ?? []
  if (file !== undefined) {
    return file === ':memory:' || options.includes('mode=memory')
      ? { fault: 'name a file; to store nothing, set database.persistent = false' }
      : { engine: 'sqlite3', file }
  }
  try {
    return readServer(new URL(text))
  } catch (error) {
    // Thrown by URL, and by decodeURIComponent for a lone percent sign.
    if (error instanceof TypeError || error instanceof URIError) return { fault: FORMS }
    throw error
  }
}

function readServer(url: URL): DatabasePath | PathFault {
  const server = SERVERS[url.protocol]
  if (!server) return { fault: FORMS }
  const { searchParams: options } = url
  const fault = faultOfOptions(options)
  if (fault !== undefined) return { fault }
  const option = (...names: string[]) => names.map(name => options.get(name)).find(Boolean)
  const mode = (option('sslmode', 'ssl-mode') ?? 'prefer').toLowerCase()
  const tls = Object.hasOwn(TLS_MODES, mode) ? TLS_MODES[mode] : undefined
  if (!tls) return { fault: 'set sslmode to disable, prefer, require or verify-full' }
  const hosts = [option('socket', 'host'), option('hostaddr')]
  const socket = hosts.find(host => host?.startsWith('/'))
  const host = hosts.find(name => name && !name.startsWith('/')) ?? url.hostname
  const database = option('dbname') ?? decodeURIComponent(url.pathname.slice(1))
  const port = Number(option('port') ?? (url.port === '' ? server.port : url.port))
  if (!database || database.includes('/'))
    return { fault: `name one database, such as ${DATABASE_PATH_FORMS[server.engine]}` }
  if (!Number.isInteger(port) || port < 1 || port > 0xffff) return { fault: FORMS }
  return {
    engine: server.engine,
    host: host.replace(/^\[(.*)\]$/, '$1') || 'localhost',
    port,
    user: option('user') ?? decodeURIComponent(url.username),
    password: option('password') ?? decodeURIComponent(url.password),
    database,
    ...(socket && { socket }),
    tls,
  }
}

function faultOfOptions(options: URLSearchParams): string | undefined {
  for (const name of options.keys()) {
    if (OPTIONS.has(name) || IGNORED_OPTIONS.has(name)) continue
    return CERTIFICATE_OPTION.test(name)
      ? `not set ${name}; name the authority in the environment variable NODE_EXTRA_CA_CERTS`
      : `not set the option ${name}; muster knows ${[...OPTIONS].join(', ')}`
  }
  return undefined
}

const MASK = '********'

/** The path without its password. Of a path that is not valid, only the scheme is safe to print. */
export function maskDatabasePath(text: string): string {
  const path = parseDatabasePath(text)
  if (path?.engine === 'sqlite3') return text
  if (!path) {
    const [scheme = ''] = /^[a-z0-9]+:/.exec(text) ?? []
    return scheme in SERVERS || scheme === 'sqlite:' ? `${scheme}${MASK}` : MASK
  }
  const url = new URL(text)
  if (url.password !== '') url.password = MASK
  if (url.searchParams.has('password')) url.searchParams.set('password', MASK)
  return url.href
}
