import pg from 'pg'
import t from 'tap'
import { type AdminClient, hex, KEY, startWithApi } from '../fixtures/admin-client.ts'
import { startNatsServers, withoutNats } from './fixtures/nats-server.ts'
import { joined, SECRET, until } from './fixtures/node.ts'
import { startSharedDatabase } from './fixtures/shared-database.ts'

/** Whether a node has the entry. */
async function has({ call }: AdminClient, path: string): Promise<boolean> {
  return (await call('GET', path)).status === 200
}

t.test('changes of lists and keys reach all nodes', { skip: withoutNats }, async t => {
  const path = await startSharedDatabase(t)
  if (path === undefined) return
  const [nats] = await startNatsServers(t, 1)
  const start = (name: string) =>
    startWithApi(t, {
      http_server: [{ bind_address: '127.0.0.1:0' }],
      udp_server: [{ bind_address: '127.0.0.1:0' }],
      frontend: { workers: 0 },
      tracker_config: { whitelist_enabled: true, blacklist_enabled: true, keys_enabled: true },
      database: { engine: 'pgsql', path },
      nodes: { name, servers: [nats?.url ?? ''], secret: SECRET, join_timeout: 5 },
    })
  const [a, b] = await Promise.all([start('a'), start('b')])
  await Promise.all([joined(a.tracker, 1), joined(b.tracker, 1)])

  await a.admin.call('POST', '/api/whitelists', [hex(1), hex(2)])
  await a.admin.call('POST', `/api/blacklist/${hex(3)}`)
  await a.admin.call('POST', '/api/keys', { [KEY]: 3600 })
  await until(() => has(b.admin, `/api/whitelist/${hex(2)}`), 'b has the whitelist of a')
  await until(() => has(b.admin, `/api/blacklist/${hex(3)}`), 'b has the blacklist of a')
  await until(() => has(b.admin, `/api/key/${KEY}`), 'b has the key of a')
  await b.admin.call('DELETE', `/api/whitelist/${hex(1)}`)
  await until(async () => !(await has(a.admin, `/api/whitelist/${hex(1)}`)), 'a removes it too')

  const website = new pg.Client({ connectionString: path })
  await website.connect()
  await website.query(`insert into whitelist values (decode('${hex(5)}', 'hex'))`)
  await website.query(`delete from whitelist where infohash = decode('${hex(2)}', 'hex')`)
  await website.end()
  t.match(await b.admin.call('POST', '/api/reload'), {
    status: 200,
    json: { status: 'ok', whitelist: 1, blacklist: 1, keys: 1 },
  })
  for (const { admin } of [a, b]) {
    await until(() => has(admin, `/api/whitelist/${hex(5)}`), 'the row of the website is there')
    await until(async () => !(await has(admin, `/api/whitelist/${hex(2)}`)), 'the other is gone')
  }

  await nats?.signal('SIGKILL')
  await a.tracker.line(({ msg }) => msg.startsWith('not connected to NATS'))
  await a.admin.call('POST', '/api/whitelists', [hex(7)])
  await nats?.start()
  await until(() => has(b.admin, `/api/whitelist/${hex(7)}`), 'b reads what it missed')
})
