import t from 'tap'
import { NO_LIMITS } from '../../../src/engine/policy.ts'
import { failureText } from '../../../src/protocol/failures.ts'
import {
  announceTo,
  clientOf,
  hashOf,
  newEngine,
  SETTINGS,
  websocketClientOf,
} from '../../fixtures/tracker-client.ts'

const limitedTo = (peersPerAddress: number) =>
  newEngine(undefined, { ...SETTINGS, limits: { ...NO_LIMITS, peersPerAddress } })
const TEXT = 'too many peers from your address in this torrent'

function same(n: number, family: 4 | 6 = 4) {
  return { ...clientOf(n, family), address: clientOf(1, family).address, infoHash: hashOf(1) }
}

for (const family of [4, 6] as const) {
  t.test(
    `the peers of an IPv${family} address in a torrent are limited, and other addresses are not affected`,
    async t => {
      const engine = limitedTo(3)
      for (let n = 1; n <= 3; n++) t.equal(announceTo(engine, same(n, family)).failure, 0)
      t.equal(failureText(announceTo(engine, { ...same(4, family), left: 0 }).failure), TEXT)
      const unlisted = announceTo(engine, { ...same(4, family), left: 1 })
      t.match(unlisted, { failure: 0, seeders: 3, leechers: 0 }, 'a leecher is served, not added')
      t.equal(announceTo(engine, same(2, family)).failure, 0, 'who is there goes on')
      t.equal(
        announceTo(engine, { ...same(4, family), infoHash: hashOf(2) }).failure,
        0,
        'another torrent',
      )
      const other = { ...clientOf(9, family), infoHash: hashOf(1) }
      if (family === 6) other.address.set(Buffer.from('fd00000000000001', 'hex'))
      t.equal(announceTo(engine, other).failure, 0, 'another address')
      announceTo(engine, { ...same(1, family), event: 3 })
      t.equal(announceTo(engine, same(4, family)).failure, 0, 'a place that became free')
    },
  )
}

t.test('a leecher above the limit is refused where the configuration says so', async t => {
  const limits = { ...NO_LIMITS, peersPerAddress: 1, serveExcessLeechers: false }
  const engine = newEngine(undefined, { ...SETTINGS, limits })
  t.equal(announceTo(engine, { ...same(1), left: 1 }).failure, 0)
  t.equal(failureText(announceTo(engine, { ...same(2), left: 1 }).failure), TEXT)
  t.equal(announceTo(engine, { ...same(1), left: 1 }).failure, 0, 'known peers go on')
})

t.test('an IPv6 /64 is one address', async t => {
  const engine = limitedTo(2)
  const inNetwork = (n: number) => ({ ...clientOf(n, 6), infoHash: hashOf(1) })
  t.equal(announceTo(engine, inNetwork(1)).failure, 0)
  t.equal(announceTo(engine, inNetwork(2)).failure, 0)
  t.equal(failureText(announceTo(engine, { ...inNetwork(3), left: 0 }).failure), TEXT)
})

t.test('an address cannot flood a large torrent with leechers, seeders or both', async t => {
  for (const attack of ['leechers', 'seeders', 'turning'] as const) {
    const engine = limitedTo(4)
    for (let n = 100; n < 5100; n++) {
      announceTo(engine, { ...clientOf(n), infoHash: hashOf(1), left: n % 2 })
    }
    for (let n = 1; n <= 90; n++) {
      const left = attack === 'seeders' ? 0 : 1
      announceTo(engine, { ...same(n), left })
      if (attack === 'turning') announceTo(engine, { ...same(n), left: 0 })
    }
    const { leechers, seeders } = announceTo(engine, { ...clientOf(100), infoHash: hashOf(1) })
    t.equal(leechers + seeders - 5000, 4, attack)
  }
})

t.test('a refused announce does not count as a download', async t => {
  const engine = limitedTo(1)
  announceTo(engine, same(1))
  for (let n = 0; n < 5; n++) announceTo(engine, { ...same(2), event: 1 })
  t.match(announceTo(engine, same(1)), { completed: 0, seeders: 1, leechers: 0 })
})

t.test('a WebSocket peer has the address of its client, IPv4 or an IPv6 /64', async t => {
  const engine = limitedTo(2)
  const from = (n: number, client: Uint8Array) =>
    announceTo(engine, { ...websocketClientOf(n), client, infoHash: hashOf(1) }).failure
  const ipv4 = websocketClientOf(1).client
  t.same([from(1, ipv4), from(2, ipv4)], [0, 0])
  t.equal(failureText(from(3, ipv4)), TEXT)
  t.equal(from(4, websocketClientOf(4).client), 0, 'another IPv4 address')
  const ipv6 = (n: number) => clientOf(n, 6).address
  t.same([from(5, ipv6(5)), from(6, ipv6(6))], [0, 0])
  t.equal(failureText(from(7, ipv6(7))), TEXT)
})
