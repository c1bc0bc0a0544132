import t from 'tap'
import { hexOf, startApi } from './fixtures/api-client.ts'

const KEY = hexOf(7)
const USER = `/api/user/4f9b24b4-2b9f-4f2b-8f9e-0a4bdb1d2c3e/${KEY}/1/2/3/4/1`

/** Method, path and the documented status of the second identical call, with its text. */
const REPEATED: [method: string, path: string, status: number, text: string][] = [
  ['POST', `/api/torrent/${KEY}`, 304, `info_hash updated ${KEY}`],
  ['POST', `/api/torrent/${KEY}/5`, 304, `info_hash updated ${KEY}`],
  ['DELETE', `/api/torrent/${KEY}`, 304, `unknown info_hash ${KEY}`],
  ['POST', `/api/whitelist/${KEY}`, 404, `info_hash updated ${KEY}`],
  ['DELETE', `/api/whitelist/${KEY}`, 404, `unknown whitelist ${KEY}`],
  ['POST', `/api/blacklist/${KEY}`, 404, `info_hash updated ${KEY}`],
  ['DELETE', `/api/blacklist/${KEY}`, 404, `unknown blacklist ${KEY}`],
  ['POST', `/api/key/${KEY}/60`, 304, `key_hash updated ${KEY}`],
  ['DELETE', `/api/key/${KEY}`, 304, `unknown key_hash ${KEY}`],
  ['POST', USER, 304, `user_hash updated ${KEY}`],
  ['DELETE', `/api/user/${KEY}`, 304, `unknown user_hash ${KEY}`],
]

for (const repeatStatus of ['document', 'ok'] as const) {
  t.test(`repeated changes with repeat_status = "${repeatStatus}"`, async t => {
    const { ask } = await startApi(t, { repeatStatus })
    for (const [method, path, documented, text] of REPEATED) {
      t.equal((await ask({ method, path })).status < 500, true)
      const { status, headers, json } = await ask({ method, path })
      t.equal(status, repeatStatus === 'ok' ? 200 : documented, `${method} ${path}`)
      t.same(status === 304 ? { status: headers['x-status'] } : json, { status: text })
    }
    for (const path of [`/api/whitelist/${KEY}`, `/api/key/${KEY}`, `/api/torrent/${KEY}`]) {
      t.equal((await ask({ method: 'GET', path })).status, 404, 'a lookup stays 404')
    }
  })
}

t.test('refuses counts that the tables cannot store', async t => {
  const { ask } = await startApi(t)
  const set = (count: string) => ask({ method: 'POST', path: `/api/torrent/${KEY}/${count}` })
  t.equal((await set('4294967295')).status, 200)
  for (const count of ['4294967296', '4294967297', '9007199254740993', '-1', '1.5', '1e3', '']) {
    const { status } = await set(count)
    t.ok(status === 400 || status === 404, `${count}: ${status}`)
  }
  for (const count of [4294967296, 2 ** 53, -1, 1.5]) {
    const body = { [KEY]: count }
    t.equal((await ask({ method: 'POST', path: '/api/torrents', body })).status, 400, `${count}`)
  }
  const { json } = await ask({ method: 'GET', path: `/api/torrent/${KEY}` })
  t.match(json, { completed: 4294967295 })
})

t.test('refuses counts, times and lifetimes that the tables cannot store', async t => {
  const { ask } = await startApi(t)
  const uuid = '00000000-0000-4000-8000-000000000001'
  const user = (completed: number, updated: number) => [uuid, KEY, 0, 0, completed, updated, 1]
  const refused = 4294967296
  for (const path of [
    `/api/user/${uuid}/${KEY}/0/0/${refused}/0/1`,
    `/api/user/${uuid}/${KEY}/0/0/0/${refused}/1`,
    `/api/key/${KEY}/${refused}`,
  ]) {
    t.equal((await ask({ method: 'POST', path })).status, 400, path)
    const largest = path.replace(String(refused), '4294967295')
    t.not((await ask({ method: 'POST', path: largest })).status, 400, largest)
  }
  for (const [path, body] of [
    ['/api/users', [user(refused, 0)]],
    ['/api/users', [user(0, refused)]],
    ['/api/keys', { [KEY]: refused }],
  ] as const) {
    t.equal((await ask({ method: 'POST', path, body })).status, 400, JSON.stringify(body))
  }
})
