import t, { type Test } from 'tap'
import { startWithApi, TOKEN } from '../fixtures/admin-client.ts'
import { getBencoded, latin1 } from '../fixtures/http-client.ts'
import { announceTarget } from '../fixtures/load.ts'
import type { Tracker } from '../fixtures/start-tracker.ts'
import { clientOf, hashOf } from '../fixtures/tracker-client.ts'
import { announceOf, isUpdate, openWebsocket } from '../fixtures/websocket-client.ts'
import { openUdpClient } from './fixtures/udp-client.ts'

/** Returns the failure of an announce over HTTP, or `ok`. */
async function overHttp(
  tracker: Tracker,
  target: string,
  from?: string,
  family: 4 | 6 = 4,
): Promise<string> {
  const answer = await getBencoded(tracker.url(family), target, from)
  return latin1(answer['failure reason'] ?? 'ok')
}

/** Returns the failure of an announce over UDP, or `ok`. */
async function overUdp(t: Test, tracker: Tracker, from: string): Promise<string> {
  const client = await openUdpClient(t, '127.0.0.1', tracker.port('udp', '127.0.0.1'), from)
  return client.announce({ port: 6881 }).then(
    () => 'ok',
    (error: Error) => error.message,
  )
}

async function refusals(tracker: Tracker, limit: string): Promise<number> {
  const answer = await fetch(`http://127.0.0.1:${tracker.port('api')}/metrics`, {
    headers: { authorization: `Bearer ${TOKEN}` },
  })
  const line = `muster_limited_announces_total{limit="${limit}"} `
  const text = await answer.text()
  return Number(text.split(line)[1]?.split('\n')[0])
}

const TOO_OFTEN = 'too many announces from your address'

t.test('an address has one limit for all protocols and processes', async t => {
  const { tracker } = await startWithApi(t, {
    frontend: { workers: 2 },
    limits: { announces_per_address: 1, announces_per_address_burst: 3 },
  })
  t.equal(await overHttp(tracker, announceTarget(1, 1), '127.0.0.2'), 'ok')
  t.equal(await overUdp(t, tracker, '127.0.0.2'), 'ok')
  t.equal(await overHttp(tracker, announceTarget(2, 2), '127.0.0.2'), 'ok')
  t.equal(await overUdp(t, tracker, '127.0.0.2'), TOO_OFTEN)
  t.equal(await overHttp(tracker, announceTarget(3, 1), '127.0.0.2'), TOO_OFTEN)
  t.equal(await overUdp(t, tracker, '127.0.0.3'), 'ok', 'another address')
  t.equal(await overHttp(tracker, announceTarget(4, 1), undefined, 6), 'ok', 'and IPv6')
  t.equal(await refusals(tracker, 'announces_per_address'), 2)
})

t.test(
  'behind a proxy, the limit applies to the client and not to the address that it claims',
  async t => {
    const { tracker } = await startWithApi(t, {
      frontend: { workers: 0 },
      http_server: [
        { bind_address: '127.0.0.1:0', trusted_proxies: ['127.0.0.1'], use_payload_ip: true },
      ],
      limits: { announces_per_address: 1, announces_per_address_burst: 1 },
    })
    const as = async (client: string, claim: string) => {
      const answer = await fetch(`${tracker.url()}${announceTarget(1, 1, { ip: claim })}`, {
        headers: { 'x-real-ip': client },
      })
      return (await answer.text()).includes(TOO_OFTEN)
    }
    t.equal(await as('9.9.9.9', '1.1.1.1'), false)
    t.equal(await as('9.9.9.9', '2.2.2.2'), true)
    t.equal(await as('9.9.9.8', '9.9.9.9'), false)
  },
)

t.test('max_torrents applies to clients and not to the operator', async t => {
  const { tracker, admin } = await startWithApi(t, {
    frontend: { workers: 1 },
    limits: { max_torrents: 1 },
  })
  t.equal(await overHttp(tracker, announceTarget(1, 1)), 'ok')
  t.match(await overHttp(tracker, announceTarget(2, 2)), 'tracker is full')
  t.match(await overUdp(t, tracker, '127.0.0.1'), 'tracker is full')
  const entered = await admin.call('POST', `/api/torrent/${hashOf(2).toString('hex')}/0`)
  t.equal(entered.status, 200)
  t.equal(await overHttp(tracker, announceTarget(2, 2)), 'ok')
  t.equal(await refusals(tracker, 'max_torrents'), 2)
})

t.test('refuses addresses and clients over HTTP and UDP', async t => {
  const { tracker } = await startWithApi(t, {
    frontend: { workers: 0 },
    limits: { refuse_private_addresses: true },
  })
  t.match(await overHttp(tracker, announceTarget(1, 1)), 'your address is private')
  t.match(await overHttp(tracker, announceTarget(1, 1), undefined, 6), 'your address is private')
  t.match(await overUdp(t, tracker, '127.0.0.1'), 'your address is private')
  t.equal(await refusals(tracker, 'refuse_private_addresses'), 3)
  const picky = await startWithApi(t, {
    frontend: { workers: 0 },
    limits: { client_blacklist: ['-MU'], peers_per_address: 1 },
  })
  t.match(await overHttp(picky.tracker, announceTarget(1, 1)), 'client_blacklist')
  t.equal(await overUdp(t, picky.tracker, '127.0.0.1'), 'ok')
})

t.test('WebSocket announces count against the same limit', async t => {
  const { tracker } = await startWithApi(t, {
    frontend: { workers: 1 },
    limits: { announces_per_address: 1, announces_per_address_burst: 2 },
  })
  const client = await openWebsocket(t, `${tracker.url().replace('http', 'ws')}/announce`)
  client.send(announceOf(hashOf(1), clientOf(1).peerId))
  t.notOk((await client.message(isUpdate))['failure reason'])
  t.equal(await overUdp(t, tracker, '127.0.0.1'), 'ok')
  client.send(announceOf(hashOf(1), clientOf(1).peerId))
  const refused = await client.message(message => 'failure reason' in message)
  t.equal(refused['failure reason'], TOO_OFTEN)
  t.equal(await overHttp(tracker, announceTarget(1, 1)), TOO_OFTEN)
})
