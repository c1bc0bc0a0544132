import t from 'tap'
import {
  maskDatabasePath,
  parseDatabasePath,
  readDatabasePath,
} from '../../src/config/database-path.ts'

t.test('a path is a file or a server', async t => {
  t.same(parseDatabasePath('sqlite://data/muster.db'), {
    engine: 'sqlite3',
    file: 'data/muster.db',
  })
  t.match(parseDatabasePath('sqlite:///var/lib/muster.db?mode=rwc'), { file: '/var/lib/muster.db' })
  t.same(parseDatabasePath('mysql://me:p%40ss%2F@db.example.org/tracker'), {
    engine: 'mysql',
    host: 'db.example.org',
    port: 3306,
    user: 'me',
    password: 'p@ss/',
    database: 'tracker',
    tls: 'prefer',
  })
  t.match(parseDatabasePath('postgres://me@[::1]:7/tracker?sslmode=verify-full'), {
    engine: 'pgsql',
    host: '::1',
    port: 7,
    password: '',
    tls: 'verify-full',
  })
  t.match(parseDatabasePath('postgresql://me@localhost/tracker?host=/run/postgresql'), {
    socket: '/run/postgresql',
  })
  t.match(parseDatabasePath('mariadb://me:x@localhost/tracker?socket=/run/my.sock'), {
    engine: 'mysql',
    socket: '/run/my.sock',
  })
})

t.test('a path that is not valid is explained', async t => {
  for (const [text, rule] of [
    ['', /^be sqlite/],
    ['data.db', /^be sqlite/],
    ['sqlite://', /^be sqlite/],
    ['sqlite::memory:', /database.persistent = false/],
    ['sqlite://x?mode=memory', /database.persistent = false/],
    ['oracle://me@host/tracker', /^be sqlite/],
    ['mysql://me@host/', /^name one database/],
    ['mysql://me@host/a/b', /^name one database/],
    ['mysql://me@host:99999/tracker', /^be sqlite/],
    ['mysql://me:%@host/tracker', /^be sqlite/],
    ['postgres://me@host/tracker?sslmode=maybe', /^set sslmode to disable/],
    ['postgres://me@host/tracker?sslrootcert=x', /NODE_EXTRA_CA_CERTS/],
    ['postgres://me@host/tracker?pool=9', /^not set the option pool/],
    ['postgres://me@/tracker', /^be sqlite/],
  ] as const) {
    t.equal(parseDatabasePath(text), undefined, text)
    t.match(readDatabasePath(text), { fault: rule }, text)
  }
})

t.test('the forms of sqlx are accepted', async t => {
  t.same(parseDatabasePath('sqlite:data.db'), { engine: 'sqlite3', file: 'data.db' })
  t.match(parseDatabasePath('postgres://db/tracker?sslmode=prefer'), { user: '', tls: 'prefer' })
  t.match(parseDatabasePath('mysql://db/tracker?ssl-mode=DISABLED&charset=utf8mb4'), {
    tls: 'disable',
  })
  t.match(parseDatabasePath('mysql://db/tracker?ssl-mode=VERIFY_CA'), { tls: 'verify-full' })
  t.match(parseDatabasePath('postgres:///tracker?host=db.example.org&port=7&user=me&password=x'), {
    host: 'db.example.org',
    port: 7,
    user: 'me',
    password: 'x',
    database: 'tracker',
  })
})

t.test('a password is masked, whether the path is valid or not', async t => {
  t.equal(maskDatabasePath('mysql://me:secret@host/x'), 'mysql://me:********@host/x')
  t.equal(maskDatabasePath('sqlite://data.db'), 'sqlite://data.db')
  t.equal(maskDatabasePath('mysql://me@host/x'), 'mysql://me@host/x')
  for (const text of [
    'mysql://me:secret/x@host/x/y',
    'postgres://me@host:secret@127.0.0.1/db',
    'postgres://me:secret@secret@host/db',
    'postgres://host/db?password=secret',
    'host=127.0.0.1 user=u password=secret',
    'me:secret@127.0.0.1/db',
    'postgres:/me:secret@127.0.0.1/db',
    'postgres://do/main:secret@127.0.0.1/db',
  ])
    t.notMatch(maskDatabasePath(text), /secret/, text)
})
