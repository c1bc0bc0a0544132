import t, { type Test } from 'tap'
import { type AdminClient, announce, startWithApi, UUID } from '../fixtures/admin-client.ts'
import { type Dictionary, getBencoded, latin1, query } from '../fixtures/http-client.ts'
import { type Tracker, temporaryFolder } from '../fixtures/start-tracker.ts'
import { clientOf, hashOf } from '../fixtures/tracker-client.ts'
import {
  announceOf,
  isFailure,
  isUpdate,
  openWebsocket,
  scrapeOf,
} from '../fixtures/websocket-client.ts'
import { openUdpClient } from './fixtures/udp-client.ts'

const PASSKEY = 'Zq8-passkey_of.a~site'
/** Differs in case only. */
const OTHER = 'zQ8-passkey_of.a~site'

const PATHS = {
  announce_paths: ['/announce', '/announce.php', '/ann', '/tracker/announce', '/t/{key}/announce'],
  scrape_paths: ['/scrape', '/scrape.php'],
  key_parameter: 'passkey',
}

const FORMS = [
  `/announce/${PASSKEY}`,
  `/${PASSKEY}/announce`,
  `/announce.php?passkey=${PASSKEY}&`,
  `/ann?passkey=${PASSKEY}&`,
  `/tracker/announce/${PASSKEY}`,
  `/${PASSKEY}/announce.php`,
  `/t/${PASSKEY}/announce`,
  `/announce.php?passkey=${PASSKEY}?`,
]

function reason(answer: Dictionary): string {
  return latin1(answer['failure reason'] ?? '')
}

async function announceHttp({ url }: Tracker, form: string): Promise<string> {
  const target = announce(form, 1)
  // Clients put their parameters behind a query that the URL has already.
  return reason(await getBencoded(url(), target.replace(/([&?])\?/, '$1')))
}

/** The URLData option of BEP 41. */
function urlData(path: string): Uint8Array {
  return Buffer.concat([Buffer.from([2, path.length]), Buffer.from(path)])
}

async function overEveryProtocol(t: Test, tracker: Tracker): Promise<void> {
  for (const form of FORMS) t.equal(await announceHttp(tracker, form), '', form)
  const wrong = [`/announce/${OTHER}`, '/announce', '/announce/short', '/t/announce']
  const reasons = await Promise.all(wrong.map(form => announceHttp(tracker, form)))
  t.same(reasons, [
    'invalid user key',
    'missing key',
    'invalid user key: wrong length or characters',
    'invalid user key: wrong length or characters',
  ])
  const scrape = `/scrape.php${query({ passkey: PASSKEY, info_hash: hashOf(1) })}`
  t.ok('files' in (await getBencoded(tracker.url(), scrape)))
  const none = await getBencoded(tracker.url(), `/scrape.php${query({ info_hash: hashOf(1) })}`)
  t.equal(reason(none), 'missing key')

  const udp = await openUdpClient(t, '127.0.0.1', tracker.port('udp', '127.0.0.1'))
  for (const path of FORMS) {
    t.match(await udp.announce({ options: urlData(path.replace(/[&?]$/, '')) }), { seeders: 0 })
  }
  await t.rejects(udp.announce({ options: urlData(`/announce/${OTHER}`) }), /invalid user key/)
  await t.rejects(udp.announce(), /missing key/)

  const web = tracker.url().replace('http:', 'ws:')
  for (const [path, isValid] of [
    [`/announce.php?passkey=${PASSKEY}`, true],
    [`/${PASSKEY}/announce`, true],
    [`/?passkey=${PASSKEY}`, true],
    [`/?passkey=${OTHER}`, false],
  ] as const) {
    const socket = await openWebsocket(t, `${web}${path}`)
    socket.send(announceOf(hashOf(2), clientOf(2).peerId))
    t.ok(await socket.message(isValid ? isUpdate : isFailure), path)
  }
}

async function throughTheApi(t: Test, admin: AdminClient): Promise<void> {
  const user = { status: 200, json: { key: PASSKEY, uuid: UUID } }
  t.match(await admin.call('GET', `/api/user/${PASSKEY}`), user)
  t.match(await admin.call('GET', `/api/user/${OTHER}`), { status: 404 })
  t.match(await admin.call('GET', '/api/user/bad%20key'), { status: 400 })
  t.match(await admin.call('DELETE', '/api/users', [OTHER]), {
    json: { users: { [OTHER]: { status: /unknown/ } } },
  })
  t.match(await admin.call('DELETE', '/api/users', ['bad key']), { status: 400 })
}

t.test('users with passkeys of a site, over every protocol and across a restart', async t => {
  const folder = temporaryFolder(t)
  const config = (http: string) => ({
    tracker_config: { users_enabled: true, key_format: 'text', ...PATHS },
    frontend: { http, workers: 0 },
  })
  const first = await startWithApi(t, config('auto'), folder)
  const path = `/api/user/${UUID}/${PASSKEY}/0/0/0/0/1`
  t.match(await first.admin.call('POST', path), { status: 200 })
  await throughTheApi(t, first.admin)
  const key = 'A-key.of_64~characters'.padEnd(64, 'x')
  t.match(await first.admin.call('POST', `/api/key/${key}/3600`), { status: 200 })
  t.match(await first.admin.call('POST', '/api/keys', { 'key-of-the-list': 0, 'bad key': 0 }), {
    json: { keys: { 'key-of-the-list': 'ok', 'bad key': 'invalid key_hash' } },
  })
  await overEveryProtocol(t, first.tracker)
  t.equal(await first.tracker.stop(), 0)

  const second = await startWithApi(t, config('node'), folder)
  await throughTheApi(t, second.admin)
  t.match(await second.admin.call('GET', '/api/key/key-of-the-list'), { json: { timeout: 0 } })
  t.match(await second.admin.call('GET', `/api/key/${key}`), { json: { timeout: Number } })
  t.match(await second.admin.call('DELETE', `/api/key/${key}`), { status: 200 })
  t.match(await second.admin.call('GET', `/api/key/${key}`), { status: 404 })
  await overEveryProtocol(t, second.tracker)
})

t.test('the rules of Torrust-Actix for users and scrapes', async t => {
  const { tracker, admin } = await startWithApi(t, {
    tracker_config: {
      keys_enabled: true,
      users_enabled: true,
      users_required: false,
      scrape_needs_key: false,
      refuse_inactive_users: false,
    },
  })
  const [key, userKey] = ['1'.repeat(40), '2'.repeat(40)]
  await admin.call('POST', `/api/key/${key}/0`)
  await admin.call('POST', `/api/user/${UUID}/${userKey}/0/0/0/0/0`)
  for (const [form, expected] of [
    [`/${key}/announce`, ''],
    [`/${key}/${userKey}announce`, ''],
    [`/${key}/${userKey}/announce`, ''],
    [`/announce/${key}/${userKey}`, ''],
    ['/announce', 'missing key'],
    [`/${userKey}/announce`, 'invalid or expired key'],
    [`/${key}/${key}announce`, 'invalid user key'],
  ] as const) {
    t.equal(await announceHttp(tracker, form), expected, form)
  }
  for (const [path, expected] of [
    ['/scrape', ''],
    [`/${key}/scrape`, ''],
    [`/${userKey}/scrape`, 'invalid or expired key'],
  ] as const) {
    const answer = await getBencoded(tracker.url(), `${path}${query({ info_hash: hashOf(1) })}`)
    t.equal(reason(answer), expected, path)
  }
  const socket = await openWebsocket(t, tracker.url().replace('http:', 'ws:'))
  socket.send(scrapeOf(hashOf(1)))
  t.ok(await socket.message(message => 'files' in message))
  socket.send(announceOf(hashOf(1), clientOf(3).peerId))
  t.match(await socket.message(isFailure), { 'failure reason': 'missing key' })
})
