import t from 'tap'
import { hexOf, startApi } from './fixtures/api-client.ts'

/** The answers are those of the source of Torrust-Actix 4.2.15. */

const HASH = hexOf(7)
const OTHER = hexOf(8)
const UPPER = HASH.toUpperCase()
const BAD = 'g'.repeat(40)
const UUID = '4f9b24b4-2b9f-4f2b-8f9e-0a4bdb1d2c3e'
const USER = `/api/user/${UUID}/${OTHER}/1/2/3/4/1`

type Step = [method: string, path: string, body: unknown, status: number, answer: unknown]

const st = (status: string) => ({ status })

const LISTS: Step[] = (['whitelist', 'blacklist'] as const).flatMap((list): Step[] => [
  ['GET', `/api/${list}/${HASH}`, undefined, 404, st('unknown info_hash')],
  ['POST', `/api/${list}/${HASH}`, undefined, 200, st('ok')],
  ['POST', `/api/${list}/${UPPER}`, undefined, 304, st('info_hash updated')],
  ['GET', `/api/${list}/${UPPER}`, undefined, 200, st('ok')],
  ['DELETE', `/api/${list}/${HASH}`, undefined, 200, st('ok')],
  ['DELETE', `/api/${list}/${HASH}`, undefined, 304, st('unknown info_hash')],
  ['GET', `/api/${list}/abc`, undefined, 400, st('bad info_hash')],
  ['GET', `/api/${list}/${BAD}`, undefined, 400, st('invalid info_hash')],
  ['POST', `/api/${list}s`, [UPPER], 200, { status: 'ok', [`${list}s`]: { [UPPER]: st('ok') } }],
  [
    'GET',
    `/api/${list}s`,
    [HASH, OTHER],
    200,
    { status: 'ok', [`${list}s`]: { [HASH]: true, [OTHER]: false } },
  ],
  [
    'DELETE',
    `/api/${list}s`,
    [HASH, OTHER],
    200,
    { status: 'ok', [`${list}s`]: { [HASH]: st('ok'), [OTHER]: st('unknown info_hash') } },
  ],
  ['POST', `/api/${list}s`, { [HASH]: 1 }, 400, st('bad json body')],
])

const STEPS: Step[] = [
  ...LISTS,
  // The whitelist refuses a request with a malformed entry. The blacklist answers it in its place.
  ['POST', '/api/whitelists', [HASH, 'abc'], 400, st('bad info_hash')],
  ['GET', '/api/whitelists', [HASH, BAD], 400, st('invalid info_hash')],
  [
    'POST',
    '/api/blacklists',
    [BAD, 'abc'],
    200,
    { status: 'ok', blacklists: { [BAD]: st('invalid info_hash') } },
  ],
  ['GET', '/api/blacklists', [BAD], 200, { status: 'ok', blacklists: { [BAD]: false } }],

  ['GET', `/api/torrent/${HASH}`, undefined, 404, st('unknown info_hash')],
  ['POST', `/api/torrent/${HASH}/5`, undefined, 200, st('ok')],
  ['POST', `/api/torrent/${HASH}/6`, undefined, 304, st('info_hash updated')],
  ['POST', `/api/torrent/${HASH}/x`, undefined, 404, undefined],
  ['DELETE', `/api/torrent/${OTHER}`, undefined, 304, st('unknown info_hash')],
  [
    'POST',
    '/api/torrents',
    { [HASH]: 7, [OTHER]: 8, short: 1 },
    200,
    { status: 'ok', torrents: { [HASH]: st('info_hash updated'), [OTHER]: st('ok') } },
  ],
  ['POST', '/api/torrents', { [BAD]: 7 }, 400, st('invalid info_hash')],
  ['GET', '/api/torrents', [BAD], 400, st('invalid info_hash')],
  [
    'DELETE',
    '/api/torrents',
    [OTHER, 'short'],
    200,
    { status: 'ok', torrents: { [OTHER]: st('ok') } },
  ],

  ['GET', `/api/key/${HASH}`, undefined, 404, st('unknown key_hash')],
  ['POST', `/api/key/${HASH}/60`, undefined, 200, st('ok')],
  ['POST', `/api/key/${HASH}/60`, undefined, 304, st('key_hash updated')],
  ['DELETE', `/api/key/${BAD}`, undefined, 400, st('invalid key')],
  ['GET', `/api/key/${BAD}`, undefined, 400, st('invalid key_hash')],
  ['GET', '/api/keys', [OTHER, BAD], 200, { status: 'ok', keys: { [OTHER]: 0, [BAD]: 0 } }],
  [
    'POST',
    '/api/keys',
    { [BAD]: 1, [OTHER]: 9, [HASH]: 9 },
    200,
    {
      status: 'ok',
      keys: { [BAD]: st('invalid key_hash'), [OTHER]: st('ok'), [HASH]: st('key_hash updated') },
    },
  ],
  [
    'DELETE',
    '/api/keys',
    [BAD, OTHER, hexOf(9)],
    200,
    {
      status: 'ok',
      keys: { [BAD]: st('invalid key'), [OTHER]: st('ok'), [hexOf(9)]: st('unknown key_hash') },
    },
  ],

  ['GET', `/api/user/${UUID}`, undefined, 404, st('unknown user_hash')],
  ['POST', USER, undefined, 200, st('user_hash added')],
  ['POST', USER, undefined, 304, st('user_hash updated')],
  ['POST', USER.replace(UUID, 'me'), undefined, 400, st('invalid uuid')],
  ['POST', USER.replace(OTHER, 'abc'), undefined, 400, st('bad key_hash')],
  [
    'POST',
    '/api/users',
    [[UUID, HASH, 1, 2, 3, 4, 0]],
    200,
    { status: 'ok', users: { [UUID]: st('user_hash added') } },
  ],
  ['POST', '/api/users', [[7, HASH, 1, 2, 3, 4, 0]], 400, st('bad json body')],
  [
    'DELETE',
    '/api/users',
    [UUID, 'nobody'],
    200,
    { status: 'ok', users: { [UUID]: st('ok'), nobody: st('unknown user_hash') } },
  ],
]

t.test('answers as Torrust-Actix 4.2 does', async t => {
  const { ask } = await startApi(t, { compatibility: 'torrust-actix' })
  for (const [method, path, body, status, answer] of STEPS) {
    const name = `${method} ${path} ${JSON.stringify(body) ?? ''}`
    const got = await ask({ method, path, body })
    t.equal(got.status, status, name)
    if (answer === undefined) continue
    t.same(status === 304 ? { status: got.headers['x-status'] } : got.json, answer, name)
  }
})

t.test('torrents, keys and users have the members of Torrust-Actix 4.2', async t => {
  const { admin, ask } = await startApi(t, { compatibility: 'torrust-actix' })
  const id = '2d7142343533302d4e6f784358662a21265e2642'
  const counts = { updated: 1000, uploaded: 1, downloaded: 2 }
  admin.addPeer(HASH, { id, address: '127.0.0.1:6881', left: 0, ...counts })
  const torrent = { status: 'ok', peers: [], seeds: [{ peer_id: [...Buffer.from(id, 'hex')] }] }
  t.match((await ask({ method: 'GET', path: `/api/torrent/${HASH}` })).json, torrent)
  const bulk = await ask({ method: 'GET', path: '/api/torrents', body: [UPPER, OTHER, 'short'] })
  t.match(bulk.json, { status: 'ok', torrents: { [UPPER]: torrent } })

  await ask({ method: 'POST', path: `/api/key/${HASH}/60` })
  const { json } = await ask({ method: 'GET', path: `/api/key/${HASH}` })
  const end = (json as { timeout: number }).timeout
  const left = end - Date.now() / 1000
  t.ok(left > 0 && left <= 60, `the end time is ${left} seconds from now`)
  t.same((await ask({ method: 'GET', path: '/api/keys', body: [HASH] })).json, {
    status: 'ok',
    keys: { [HASH]: end },
  })

  await ask({ method: 'POST', path: USER })
  admin.addUserTorrent(OTHER, HASH, 1234)
  const user = {
    status: 'ok',
    uuid: UUID,
    key: OTHER,
    uploaded: 1,
    downloaded: 2,
    completed: 3,
    updated: 4,
    active: 1,
    torrents_active: { [HASH]: 1234 },
  }
  for (const name of [UUID, OTHER]) {
    t.same((await ask({ method: 'GET', path: `/api/user/${name}` })).json, user, name)
  }
  t.same((await ask({ method: 'GET', path: '/api/users', body: [UUID, 'nobody'] })).json, {
    status: 'ok',
    users: { [UUID]: user, nobody: { status: 'unknown user_hash' } },
  })
})

t.test('a user is found by key, UUID and number with the answers of the document', async t => {
  const { ask } = await startApi(t)
  await ask({ method: 'POST', path: USER })
  for (const name of [UUID, OTHER]) {
    const { status, json } = await ask({ method: 'GET', path: `/api/user/${name}` })
    t.equal(status, 200)
    t.match(json, { uuid: UUID, key: OTHER })
  }
  t.equal((await ask({ method: 'GET', path: '/api/user/7' })).status, 400)
  t.equal((await ask({ method: 'DELETE', path: `/api/user/${UUID}` })).status, 200)
  t.equal((await ask({ method: 'DELETE', path: `/api/user/${UUID}` })).status, 304)

  const numbered = await startApi(t, { userIdUuid: false })
  await numbered.ask({ method: 'POST', path: `/api/user/7/${OTHER}/1/2/3/4/1` })
  t.match((await numbered.ask({ method: 'GET', path: '/api/user/7' })).json, { id: 7, key: OTHER })
  const unknown = await numbered.ask({ method: 'GET', path: '/api/user/8' })
  t.equal(unknown.status, 404)
  t.same(unknown.json, { status: 'unknown user_hash 8' })
})
