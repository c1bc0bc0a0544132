import t from 'tap'
import { startApi } from './fixtures/api-client.ts'
import { HASH, OTHER, STEPS, UPPER, USER, UUID } from './fixtures/torrust-actix-steps.ts'

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
  const end = admin.settings.now() / 1000 + 60
  t.same(json, { status: 'ok', timeout: end })
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
