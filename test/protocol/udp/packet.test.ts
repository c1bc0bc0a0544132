import t, { type Test } from 'tap'
import { allocate } from '../../../src/protocol/bytes.ts'
import { Failure, STANDARD_ANSWERS } from '../../../src/protocol/failures.ts'
import { TRANSFER_BYTES_MAX } from '../../../src/protocol/limits.ts'
import * as record from '../../../src/protocol/records.ts'
import * as scrape from '../../../src/protocol/records.ts'
import { Event } from '../../../src/protocol/records.ts'
import * as packet from '../../../src/protocol/udp/packet.ts'
import { testSeed } from '../../fixtures/seed.ts'
import { seededRandom } from '../../fixtures/seeded-random.ts'
import {
  type AnnouncePacketFields,
  announcePacket,
  connectPacket,
  hashes,
  INFO_HASH,
  NO_ID,
  PEER_ID,
  placed,
  scrapePacket,
} from '../../frontends/udp/fixtures/packets.ts'

const RULES = { numwantDefault: 50, numwantMaximum: 200, usePayloadIp: false }
const RECORD_AT = 40

function parse(fields: AnnouncePacketFields, family: record.Family = 0, rules = RULES) {
  const { memory, at } = placed(announcePacket(NO_ID, 7, fields))
  const into = allocate(RECORD_AT + record.ANNOUNCE_BYTES)
  into.u8[RECORD_AT + record.FAMILY] = family
  into.u8.fill(9, RECORD_AT + record.ADDRESS, RECORD_AT + record.ADDRESS + 4)
  const failure = packet.parseAnnouncePacket(memory, at, into, RECORD_AT, rules)
  return { failure, u8: into.u8.subarray(RECORD_AT), view: new DataView(into.u8.buffer, RECORD_AT) }
}

function numwantOf(numWant: number, family: record.Family = 0, rules = RULES): number {
  return parse({ numWant }, family, rules).view.getUint16(record.NUMWANT, true)
}

t.test('a connect is known by its protocol id', async t => {
  const { memory, at } = placed(connectPacket(1))
  t.equal(packet.isConnect(memory.view, at), true)
  for (let bit = 0; bit < 64; bit++) {
    const changed = connectPacket(1)
    changed[bit >> 3] = (changed[bit >> 3] as number) ^ (1 << (bit & 7))
    t.equal(packet.isConnect(placed(changed).memory.view, at), false, `bit ${bit} changed`)
  }
})

t.test('an announce packet becomes a request record', async t => {
  const big = 2n ** 40n + 5n
  const { failure, u8, view } = parse({ downloaded: 1n, left: big, uploaded: 3n, event: 1 })
  t.equal(failure, Failure.none)
  t.equal(u8[record.KIND], record.Kind.announce)
  t.equal(u8[record.EVENT], Event.completed)
  t.equal(u8[record.FLAGS], 0)
  t.equal(view.getUint16(record.PORT, true), 6881)
  t.equal(view.getUint16(record.NUMWANT, true), 50)
  t.same(u8.subarray(record.INFO_HASH, record.INFO_HASH + 20), INFO_HASH)
  t.same(u8.subarray(record.PEER_ID, record.PEER_ID + 20), PEER_ID)
  t.same([...u8.subarray(record.ADDRESS, record.ADDRESS + 5)], [9, 9, 9, 9, 0], 'is untouched')
  t.equal(record.readU64(view, record.DOWNLOADED), 1)
  t.equal(record.readU64(view, record.LEFT), Number(big))
  t.equal(record.readU64(view, record.UPLOADED), 3)
})

t.test(
  'num_want is -1 for the default, and bounded by the configuration and by one packet',
  async t => {
    t.equal(numwantOf(-1), 50)
    t.equal(numwantOf(-2_000_000_000), 50)
    t.equal(numwantOf(0), 0, 'asks for no peers')
    t.equal(numwantOf(7), 7)
    t.equal(numwantOf(2_000_000_000), 200)
    const generous = { ...RULES, numwantDefault: 300, numwantMaximum: 400 }
    t.equal(numwantOf(400, 0, generous), 242)
    t.equal(numwantOf(400, 1, generous), 67)
    t.equal(numwantOf(-1, 1, generous), 67)
  },
)

t.test(
  'the largest answer fits an Ethernet frame over IPv4, and the smallest MTU over IPv6',
  async t => {
    for (const [family, mtu, ipHeader, peerBytes] of [
      [0, 1500, 20, 6],
      [1, 1280, 40, 18],
    ] as const) {
      const room = mtu - ipHeader - 8 - 20 - packet.PACKET_PEERS_MAX[family] * peerBytes
      t.ok(room >= 0 && room < peerBytes, `room for no further peer: ${room} bytes`)
    }
  },
)

t.test('any port is accepted, including 0', async t => {
  t.equal(parse({ port: 0 }).failure, Failure.none)
  t.equal(parse({ port: 0 }).view.getUint16(record.PORT, true), 0)
  t.equal(parse({ port: 65535 }).view.getUint16(record.PORT, true), 65535)
})

t.test('an event that BEP 15 does not have is an announce without event', async t => {
  const eventOf = (event: number) => parse({ event }).u8[record.EVENT]
  t.same([0, 1, 2, 3, 4, 99, 0xffffffff].map(eventOf), [0, 1, 2, 3, 0, 0, 0])
})

t.test('byte counts above 2^48 become the largest', async t => {
  const leftOf = (left: bigint) => record.readU64(parse({ left }).view, record.LEFT)
  t.equal(leftOf(2n ** 48n - 1n), TRANSFER_BYTES_MAX)
  t.equal(leftOf(2n ** 48n), TRANSFER_BYTES_MAX)
  t.equal(leftOf(2n ** 64n - 1n), TRANSFER_BYTES_MAX, 'a client that does not know')
  t.equal(leftOf(2n ** 32n), 2 ** 32)
})

t.test('the ip of a packet is accepted only if the configuration allows it', async t => {
  const addressOf = (ip: number, family: record.Family, usePayloadIp: boolean) => {
    const { u8 } = parse({ ip }, family, { ...RULES, usePayloadIp })
    return [...u8.subarray(record.ADDRESS, record.ADDRESS + 4)]
  }
  t.same(addressOf(0x0a000001, 0, false), [9, 9, 9, 9])
  t.same(addressOf(0x0a000001, 0, true), [10, 0, 0, 1])
  t.same(addressOf(0, 0, true), [9, 9, 9, 9])
  t.same(addressOf(0x0a000001, 1, true), [9, 9, 9, 9], 'means nothing to IPv6')
  const { u8 } = parse({ ip: 0x0a000001 }, 0, { ...RULES, usePayloadIp: true })
  t.equal(u8[record.FLAGS], record.Flag.claimedAddress)
  t.same([...u8.subarray(record.SOURCE, record.SOURCE + 8)], [0, 0, 0, 0, 9, 9, 9, 9])
})

function urlOf(t: Test, options: readonly (number | string)[]): string {
  const bytes = Buffer.concat(
    options.map(part => (typeof part === 'number' ? Buffer.of(part) : Buffer.from(part))),
  )
  const { memory, at } = placed(announcePacket(NO_ID, 1, { options: bytes }))
  const out = new Uint8Array(512)
  const written = packet.readUrlData(memory.u8, at + 98, at + 98 + bytes.length, out, 3)
  t.same(out.subarray(3 + written), new Uint8Array(509 - written), 'writes nothing behind')
  const url = Buffer.from(out.subarray(3, 3 + written)).toString()
  const end = at + 98 + bytes.length
  const soleAt = packet.soleUrlDataAt(memory.u8, at + 98, end)
  if (soleAt !== 0) {
    const size = memory.u8[soleAt - 1] as number
    t.ok(soleAt + size <= end)
    t.equal(Buffer.from(memory.u8.subarray(soleAt, soleAt + size)).toString(), url)
  }
  t.equal(soleAt !== 0, isSoleUrl(options), 'only one option is read in place')
  return url
}

/** Whether the options are one URLData option, of which a text has all bytes, and its end. */
function isSoleUrl([kind, length, url, next]: readonly (number | string)[]): boolean {
  const isWhole = kind === 2 && typeof url === 'string' && url.length === length
  return isWhole && (next === undefined || next === 0)
}

t.test('URLData is joined from all its options', async t => {
  t.equal(urlOf(t, []), '')
  t.equal(urlOf(t, [2, 5, '/a?b=']), '/a?b=')
  t.equal(urlOf(t, [1, 1, 2, 3, '/an', 1, 2, 0, 2, 5, 'nounc', 2, 1, 'e', 0]), '/announce')
  t.equal(urlOf(t, [2, 2, '/a', 77, 4, 'skip', 2, 1, 'b']), '/ab', 'an unknown option is skipped')
  t.equal(urlOf(t, [2, 2, '/a', 0, 2, 1, 'b']), '/a', 'nothing counts behind EndOfOptions')
  t.equal(urlOf(t, [2, 255, 'x'.repeat(255), 2, 10, 'y'.repeat(10)]).length, 265)
})

t.test('an option that does not fit the packet ends the options', async t => {
  t.equal(urlOf(t, [2]), '')
  t.equal(urlOf(t, [2, 1]), '')
  t.equal(urlOf(t, [2, 200, '/announce']), '')
  t.equal(urlOf(t, [2, 2, '/a', 2, 9, 'short']), '/a')
  t.equal(urlOf(t, [77]), '')
})

t.test('random options are read inside their packet only', async t => {
  const seed = testSeed(t)
  const random = seededRandom(seed)
  for (let round = 0; round < 20_000; round++) {
    const length = random(40)
    const packetBytes = announcePacket(NO_ID, 1, {
      options: Uint8Array.from({ length }, () => (random(2) ? random(4) : random(256))),
    })
    const whole = new Uint8Array(64)
    const written = packet.readUrlData(packetBytes, 98, packetBytes.length, whole, 0)
    const behind = new Uint8Array(64)
    const longer = Buffer.concat([packetBytes, Buffer.alloc(300, 2)])
    const again = packet.readUrlData(longer, 98, packetBytes.length, behind, 0)
    if (written > length || again !== written || !Buffer.from(whole).equals(behind)) {
      t.fail(`round ${round}: ${packetBytes.subarray(98).toString('hex')}`)
      return
    }
  }
  t.pass('20,000 rounds')
})

t.test('a scrape packet becomes a request record, in the order asked', async t => {
  for (const count of [1, 2, 74]) {
    const { memory, at } = placed(scrapePacket(NO_ID, 1, hashes(count)))
    const into = allocate(RECORD_AT + packet.SCRAPE_RECORD_BYTES)
    const failure = packet.parseScrapePacket(memory, at, 16 + count * 20, into, RECORD_AT)
    t.equal(failure, Failure.none)
    t.equal(into.u8[RECORD_AT + record.KIND], record.Kind.scrape)
    t.equal(into.view.getUint16(RECORD_AT + scrape.HASH_COUNT, true), count)
    const start = RECORD_AT + scrape.SCRAPE_REQUEST_HEADER_BYTES
    t.same(into.u8.subarray(start, start + count * 20), Buffer.concat(hashes(count)))
  }
})

t.test(
  'a scrape with no hash or more than 74 is refused, and a partial hash is ignored',
  async t => {
    const into = allocate(packet.SCRAPE_RECORD_BYTES)
    const failureOf = (length: number) => {
      const { memory, at } = placed(scrapePacket(NO_ID, 1, hashes(100)))
      return packet.parseScrapePacket(memory, at, length, into, 0)
    }
    t.equal(failureOf(16), Failure.missingInfoHash)
    t.equal(failureOf(35), Failure.missingInfoHash)
    t.equal(failureOf(37), Failure.none)
    t.equal(into.view.getUint16(scrape.HASH_COUNT, true), 1)
    t.equal(failureOf(16 + 75 * 20), Failure.tooManyHashes)
  },
)

function announceReply(ipv4: number, ipv6: number) {
  const reply = allocate(64 + packet.UDP_REPLY_BYTES)
  const at = 8
  reply.view.setUint16(at + record.PEER_COUNT[0], ipv4, true)
  reply.view.setUint16(at + record.PEER_COUNT[1], ipv6, true)
  reply.view.setUint32(at + record.SEEDERS, 0x01020304, true)
  reply.view.setUint32(at + record.LEECHERS, 0xf0000001, true)
  reply.view.setUint32(at + record.COMPLETED, 77, true)
  reply.view.setUint32(at + record.INTERVAL, 1800, true)
  const peersAt = at + record.REPLY_HEADER_BYTES
  reply.u8.fill(4, peersAt, peersAt + ipv4 * 6)
  reply.u8.fill(6, peersAt + ipv4 * 6, peersAt + ipv4 * 6 + ipv6 * 18)
  return { reply, at }
}

function announceAnswer(ipv4: number, ipv6: number, family: record.IpFamily): string {
  const { reply, at } = announceReply(ipv4, ipv6)
  const bytes = packet.formatAnnouncePacket(reply, at, family, 0xdeadbeef | 0)
  const start = at + packet.PACKET_AT
  return Buffer.from(reply.u8.subarray(start, start + bytes)).toString('hex')
}

t.test('a reply record becomes the answer to an announce where it lies', async t => {
  const head = '00000001deadbeef00000708f000000101020304'
  t.equal(announceAnswer(0, 0, 0), head)
  t.equal(announceAnswer(2, 0, 0), head + '04'.repeat(12))
  t.equal(announceAnswer(0, 2, 1), head + '06'.repeat(36))
  t.equal(announceAnswer(3, 2, 0), head + '04'.repeat(18), 'IPv6 peers are left out over IPv4')
  t.equal(announceAnswer(3, 2, 1), head + '06'.repeat(36), 'IPv4 peers are left out over IPv6')
})

t.test('a reply record becomes the answer to a scrape where it lies', async t => {
  const at = 8
  for (const count of [1, 2, 74]) {
    const reply = allocate(at + packet.UDP_REPLY_BYTES)
    reply.view.setUint16(at + scrape.HASH_COUNT, count, true)
    const expected = Buffer.alloc(8 + count * 12)
    expected.writeUInt32BE(2, 0)
    expected.writeUInt32BE(0xfedcba98, 4)
    for (let n = 0; n < count; n++) {
      const entry = at + scrape.SCRAPE_HEADER_BYTES + n * scrape.ENTRY_BYTES
      reply.u8.fill(0xaa, entry, entry + 20)
      reply.view.setUint32(entry + scrape.ENTRY_SEEDERS, n, true)
      reply.view.setUint32(entry + scrape.ENTRY_COMPLETED, 0x80000000 + n, true)
      reply.view.setUint32(entry + scrape.ENTRY_LEECHERS, 1000 + n, true)
      expected.writeUInt32BE(n, 8 + n * 12)
      expected.writeUInt32BE(0x80000000 + n, 12 + n * 12)
      expected.writeUInt32BE(1000 + n, 16 + n * 12)
    }
    const bytes = packet.formatScrapePacket(reply, at, 0xfedcba98 | 0)
    const start = at + packet.PACKET_AT
    t.same(reply.u8.subarray(start, start + bytes), expected)
  }
})

t.test('a failure becomes an error packet with its text', async t => {
  const reply = allocate(packet.UDP_REPLY_BYTES)
  const bytes = packet.formatErrorPacket(STANDARD_ANSWERS, reply, 4, 5, Failure.invalidPort)
  const start = 4 + packet.PACKET_AT
  t.equal(
    Buffer.from(reply.u8.subarray(start, start + bytes)).toString('latin1'),
    '\0\0\0\x03\0\0\0\x05missing or invalid port',
  )
})
