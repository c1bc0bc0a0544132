import t from 'tap'
import { answer } from '../../src/engine/answer.ts'
import type { Engine } from '../../src/engine/engine.ts'
import { type LimitSettings, limitCounts, NO_LIMITS } from '../../src/engine/policy.ts'
import { allocate } from '../../src/protocol/bytes.ts'
import { failureText } from '../../src/protocol/failures.ts'
import { ADDRESS, FLAGS, Flag, writeSource } from '../../src/protocol/records.ts'
import { type AnnounceFields, readReply, writeAnnounce } from '../fixtures/announce-request.ts'
import {
  announceTo,
  clientOf,
  hashOf,
  NOW,
  newEngine,
  SETTINGS,
  scrapeFrom,
  websocketClientOf,
} from '../fixtures/tracker-client.ts'

const client = { infoHash: hashOf(1), ...clientOf(1) }

function limited(limits: Partial<LimitSettings>): Engine {
  return newEngine(undefined, { ...SETTINGS, limits: { ...NO_LIMITS, ...limits } })
}

function why(engine: Engine, fields: Partial<AnnounceFields> = {}, now = NOW): string {
  const { failure } = announceTo(engine, { ...client, ...fields }, now)
  return failure ? failureText(failure) : ''
}

const TOO_OFTEN = 'too many announces from your address'

t.test('an address may announce its burst, and then at the rate', async t => {
  const engine = limited({ announcesPerAddress: 60, announcesBurst: 3 })
  for (let n = 1; n <= 3; n++) t.equal(why(engine, { infoHash: hashOf(n) }), '')
  t.equal(why(engine), TOO_OFTEN)
  t.equal(why(engine, { ...clientOf(2) }), '', 'another address')
  t.equal(why(engine, {}, NOW + 1), '', 'a second later')
  t.equal(why(engine, {}, NOW + 1), TOO_OFTEN)
  t.match(limitCounts(engine.limits), { announces_per_address: 2, max_torrents: 0 })
})

t.test('known peers and stops use up the burst of their address, in any order', async t => {
  const engine = limited({ announcesPerAddress: 60, announcesBurst: 100 })
  for (let n = 1; n <= 40; n++) t.equal(why(engine, { infoHash: hashOf(n) }), '', 'new peers')
  for (let n = 1; n <= 20; n++) t.equal(why(engine), '', 'one known peer again and again')
  for (let n = 1; n <= 20; n++) t.equal(why(engine, { infoHash: hashOf(n) }), '', 'known peers')
  for (let n = 1; n <= 20; n++) t.equal(why(engine, { infoHash: hashOf(n), event: 3 }), '', 'stops')
  t.equal(why(engine), TOO_OFTEN)
  t.equal(why(engine, { infoHash: hashOf(40) }), TOO_OFTEN)
  t.equal(why(engine, { infoHash: hashOf(41) }), TOO_OFTEN)
  t.equal(why(engine, { ...clientOf(2) }), '', 'another address')
  t.equal(why(engine, {}, NOW + 1), '', 'a second later')
  t.equal(why(engine, {}, NOW + 1), TOO_OFTEN)
})

t.test('an IPv6 /64 is one address, and never equal to an IPv4 address', async t => {
  const engine = limited({ announcesPerAddress: 1, announcesBurst: 2 })
  t.equal(why(engine, { ...clientOf(1, 6) }), '')
  t.equal(why(engine, { ...clientOf(2, 6) }), '')
  t.equal(why(engine, { ...clientOf(3, 6) }), TOO_OFTEN)
  t.equal(why(engine), '')
})

t.test('announces that are refused for another reason count too', async t => {
  const engine = limited({ announcesPerAddress: 1, announcesBurst: 1, clientBlacklist: ['-MU'] })
  t.match(why(engine), 'client_blacklist')
  t.equal(why(engine), TOO_OFTEN)
})

t.test('the bucket is that of the source address, not of a claimed address', async t => {
  const engine = limited({ announcesPerAddress: 1, announcesBurst: 2 })
  const request = allocate(256)
  const reply = allocate(65_536)
  const claim = (n: number) => {
    writeAnnounce(request, client)
    writeSource(request.view, 0)
    request.u8[FLAGS] = Flag.claimedAddress
    request.u8.set(clientOf(n).address, ADDRESS)
    return readReply(reply, answer(engine, request, 0, reply, 0, NOW)).failure
  }
  t.equal(claim(100), 0)
  t.equal(why(engine), '', 'the same bucket as without a claim')
  t.equal(failureText(claim(101)), TOO_OFTEN)
  t.equal(why(engine, { ...clientOf(100) }), '', 'who was claimed pays nothing')
})

t.test(
  'announces create torrents up to the limit; those that exist are still announced',
  async t => {
    const engine = limited({ maxTorrents: 2 })
    t.equal(why(engine), '')
    t.equal(why(engine, { infoHash: hashOf(2) }), '')
    t.equal(why(engine, { infoHash: hashOf(3) }), 'tracker is full: no new torrents accepted')
    t.equal(why(engine, { infoHash: hashOf(2), ...clientOf(2) }), '')
    t.equal(why(engine, { infoHash: hashOf(3), event: 3 }), '', 'stopped makes none')
    t.same(scrapeFrom(engine, [hashOf(3)]), [{ seeders: 0, completed: 0, leechers: 0 }])
    t.match(limitCounts(engine.limits), { max_torrents: 1 })
  },
)

t.test('private addresses and low ports are refused where configured', async t => {
  const engine = limited({ refusePrivateAddresses: true, refusePrivilegedPorts: true })
  t.match(why(engine), 'your address is private')
  t.match(why(engine, { ...clientOf(1, 6) }), 'your address is private')
  const address = Buffer.from([8, 8, 4, 4])
  t.equal(why(engine, { address }), '')
  t.match(why(engine, { address, port: 80 }), 'port below 1024')
  t.match(limitCounts(engine.limits), { refuse_private_addresses: 2, refuse_privileged_ports: 1 })
})

t.test('clients are refused by the black- and the whitelist', async t => {
  const black = limited({ clientBlacklist: ['-XL', '-MU0100-0000000'] })
  t.match(why(black), 'client_blacklist')
  t.equal(why(black, { peerId: Buffer.from('-MU0101-000000000000') }), '')
  const white = limited({ clientWhitelist: ['-MU'], clientBlacklist: ['-MU0101'] })
  t.equal(why(white), '')
  t.match(why(white, { peerId: Buffer.from('-XL0101-000000000000') }), 'client_whitelist')
  t.match(why(white, { peerId: Buffer.from('-MU0101-000000000000') }), 'client_blacklist')
})

t.test('without limits nothing is checked', async t => {
  const { limits } = newEngine()
  t.notOk(limits.isChecked)
})

t.test('a WebSocket client has the bucket of its address, which may be private', async t => {
  const engine = limited({
    announcesPerAddress: 1,
    announcesBurst: 1,
    refusePrivateAddresses: true,
    refusePrivilegedPorts: true,
  })
  t.equal(why(engine, websocketClientOf(1)), '')
  t.equal(why(engine, { ...websocketClientOf(2), client: websocketClientOf(1).client }), TOO_OFTEN)
  t.equal(why(engine), TOO_OFTEN, 'and it is the one of UDP and HTTP')
  t.equal(why(engine, websocketClientOf(2)), '')
  const client = clientOf(1, 6).address
  t.equal(why(engine, { ...websocketClientOf(3), client }), '')
  t.equal(why(engine, clientOf(2, 6)), TOO_OFTEN)
})
