import t from 'tap'
import { maskPassword, parseDatabasePath } from '../../src/config/database-path.ts'

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
    tls: 'disable',
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

t.test('what is neither is none', async t => {
  for (const text of [
    '',
    'data.db',
    'sqlite://',
    'oracle://me@host/tracker',
    'mysql://host/tracker',
    'mysql://me@host/',
    'mysql://me@host/a/b',
    'mysql://me@host:99999/tracker',
    'mysql://me:%@host/tracker',
    'postgres://me@host/tracker?sslmode=maybe',
    'postgres://me@host/tracker?password=x',
    'postgres://me@host/tracker?host=elsewhere',
    'postgres://me@/tracker',
  ]) {
    t.equal(parseDatabasePath(text), undefined, text)
  }
})

t.test('a password is not printed, well-formed or not', async t => {
  t.equal(maskPassword('mysql://me:secret@host/x'), 'mysql://me:********@host/x')
  t.equal(maskPassword('mysql://me:sec@r/e:t@host/x'), 'mysql://me:********@host/x')
  t.equal(maskPassword('["x://me:a\n@b"]'), '["x://me:********@b"]')
  t.equal(maskPassword('sqlite://data.db'), 'sqlite://data.db')
  t.equal(maskPassword('mysql://me@host/x'), 'mysql://me@host/x')
})
