import t from 'tap'
import { UdpCounter } from '../../../src/counters/udp.ts'
import {
  ADDRESS,
  Family,
  KEY,
  KIND,
  SCRAPE_KEY,
  SCRAPE_USER_KEY,
  USER_KEY,
} from '../../../src/protocol/records.ts'
import { UDP_REPLY_BYTES } from '../../../src/protocol/udp/packet.ts'
import { testSeed } from '../../fixtures/seed.ts'
import { seededRandom } from '../../fixtures/seeded-random.ts'
import { FAILING_PORT, INTERVAL, peerOf } from './fixtures/canned-answer.ts'
import { announcePacket, connectPacket, hashes, NO_ID, scrapePacket } from './fixtures/packets.ts'
import { ADDRESSES, AT, GUARD, listener, REPLY_AT } from './fixtures/socketless-listener.ts'

for (const family of [Family.ipv4, Family.ipv6]) {
  const name = family === Family.ipv4 ? 'IPv4' : 'IPv6'

  t.test(`${name}: a client connects, announces and scrapes`, async t => {
    const { send, counted, asked } = listener(family)
    const connected = send(connectPacket(0xfedcba98))
    t.equal(connected.toString('hex', 0, 8), '00000000fedcba98')
    t.equal(connected.length, 16)
    const id = connected.subarray(8)

    const announced = send(announcePacket(id, 0x80000001, { numWant: 3 }))
    t.equal(announced.toString('hex', 0, 8), '0000000180000001')
    t.equal(announced.readUInt32BE(8), INTERVAL)
    t.equal(announced.readUInt32BE(12), 3, 'leechers')
    t.equal(announced.readUInt32BE(16), 1, 'seeders')
    t.same(announced.subarray(20), Buffer.concat([0, 1, 2].map(n => peerOf(n, family))))
    const address = Buffer.alloc(16)
    address.set(ADDRESSES[family])
    t.same(asked[0]?.subarray(ADDRESS, ADDRESS + 16), address)

    const scraped = send(scrapePacket(id, 9, hashes(2)))
    const entries = '00000001000003e800000002' + '00000002000007d000000004'
    t.equal(scraped.toString('hex'), `0000000200000009${entries}`)

    send(announcePacket(id, 1, { numWant: 3 }))
    t.same(asked[2], asked[0], 'the scrape between left nothing in the record')
    t.equal(counted(UdpCounter.connect), 1)
    t.equal(counted(UdpCounter.announce), 2)
    t.equal(counted(UdpCounter.scrape), 1)
  })

  t.test(`${name}: a request that fails is answered with the reason`, async t => {
    const { send, connect, counted, asked } = listener(family)
    const id = connect()
    const error = (bytes: Buffer) => [
      bytes.readUInt32BE(0),
      bytes.readUInt32BE(4),
      bytes.toString('latin1', 8),
    ]
    t.same(error(send(scrapePacket(id, 6, []))), [3, 6, 'missing info_hash'])
    t.same(error(send(scrapePacket(id, 7, hashes(75)))), [3, 7, 'too many info_hash in scrape'])
    t.equal(asked.length, 0, 'the engine did not see them')
    const refused = send(announcePacket(id, 8, { port: FAILING_PORT }))
    t.same(error(refused), [3, 8, 'tracker temporarily unavailable'])
    t.equal(counted(UdpCounter.error), 3)
  })

  t.test(`${name}: a bad connection id is answered by silence`, async t => {
    const { send, connect, counted, clock, asked } = listener(family)
    const id = connect()
    t.equal(send(announcePacket(NO_ID, 1)).length, 0)
    t.equal(send(scrapePacket(NO_ID, 1, hashes(1))).length, 0)
    t.equal(send(announcePacket(NO_ID, 1, { port: 0 })).length, 0, 'no error packet either')
    const elsewhere = Buffer.from(ADDRESSES[family])
    elsewhere[3] = 99
    t.equal(send(announcePacket(id, 1), elsewhere).length, 0, 'used by another address')
    clock.now += 240
    t.equal(send(announcePacket(id, 1)).length, 0, 'used too late')
    t.equal(counted(UdpCounter.badConnectionId), 5)
    t.equal(asked.length, 0)
  })

  t.test(
    `${name}: every cut of every packet is answered as BEP 15 has it, or not at all`,
    async t => {
      const { send, connect, asked, memory } = listener(family)
      const id = connect()
      const options = Buffer.from('\x02\x09/announce\x00', 'latin1')
      const packets = [
        connectPacket(1),
        announcePacket(id, 1, { options }),
        scrapePacket(id, 1, hashes(74)),
      ]
      for (const [kind, packet] of packets.entries()) {
        for (let length = 0; length <= packet.length; length++) {
          const answer = send(packet.subarray(0, length))
          const action = answer.length > 0 ? answer.readUInt32BE(0) : -1
          const shortScrape = kind === 2 && length < 36
          const expected = length < ([16, 98, 16][kind] as number) ? -1 : shortScrape ? 3 : kind
          if (action !== expected) t.fail(`kind ${kind} cut to ${length}: action ${action}`)
          if (
            kind === 2 &&
            action === 2 &&
            answer.length !== 8 + 12 * Math.floor((length - 16) / 20)
          ) {
            t.fail(`a scrape cut to ${length} has an answer of ${answer.length}`)
          }
          if (memory.u8[AT + length] !== GUARD || memory.u8[REPLY_AT + UDP_REPLY_BYTES] !== GUARD) {
            t.fail(`kind ${kind} cut to ${length}: wrote outside the reply`)
          }
        }
      }
      t.equal(asked.filter(record => record[KIND] === 1).length, options.length + 1)
    },
  )

  t.test(`${name}: the largest answers stay in their room`, async t => {
    const { send, connect, memory } = listener(family)
    const id = connect()
    const most = [242 * 6, 67 * 18][family] as number
    t.equal(send(announcePacket(id, 1, { numWant: 1_000_000 })).length, 20 + most)
    t.equal(memory.u8[REPLY_AT + UDP_REPLY_BYTES], GUARD)
    t.equal(send(scrapePacket(id, 1, hashes(74))).length, 8 + 74 * 12)
    t.equal(memory.u8[REPLY_AT + UDP_REPLY_BYTES], GUARD)
  })
}

t.test('no answer is longer than its request until the connection id is proven', async t => {
  const seed = testSeed(t)
  const random = seededRandom(seed)
  const { send, counted, asked } = listener(Family.ipv4)
  const seeds = [connectPacket(1), announcePacket(NO_ID, 1), scrapePacket(NO_ID, 1, hashes(3))]
  let answered = 0
  const rounds = 1_000_000
  for (let round = 0; round < rounds; round++) {
    const base = seeds[random(3)] as Buffer
    const nearly = random(2) === 1
    const packet = nearly ? Buffer.from(base) : Buffer.alloc(random(120))
    const changes = packet.length === 0 ? 0 : random(nearly ? 4 : 30)
    for (let n = 0; n < changes; n++) packet[random(packet.length)] = random(256)
    const answer = send(packet.subarray(0, random(4) ? packet.length : random(packet.length + 1)))
    if (answer.length === 0) continue
    answered++
    if (answer.length > packet.length || answer.readUInt32BE(0) !== 0) {
      t.fail(`round ${round}: ${packet.toString('hex')}`)
      return
    }
  }
  t.equal(asked.length, 0, 'and none reached the engine')
  t.ok(answered > 0)
  t.equal(counted(UdpCounter.connect), answered)
  const silent = counted(UdpCounter.garbage) + counted(UdpCounter.badConnectionId)
  t.equal(silent + answered, rounds, 'each is counted once')
})

t.test('the packet’s ip names the peer where the configuration believes it', async t => {
  const address = (usePayloadIp: boolean, ip: number) => {
    const { send, connect, asked } = listener(Family.ipv4, usePayloadIp)
    send(announcePacket(connect(), 1, { ip }))
    return [...(asked[0] as Buffer).subarray(ADDRESS, ADDRESS + 4)]
  }
  t.same(address(false, 0x0a000001), [192, 0, 2, 7])
  t.same(address(true, 0x0a000001), [10, 0, 0, 1])
  t.same(address(true, 0), [192, 0, 2, 7])
})

/** BEP 41: the path and query of the tracker's URL, in pieces of at most 255 bytes. */
function urlData(...pieces: string[]): Buffer {
  return Buffer.concat(
    pieces.map(text => Buffer.concat([Buffer.of(2, text.length), Buffer.from(text, 'latin1')])),
  )
}

t.test('where keys are required, an announce has those of its path', async t => {
  const rules = { keys: true, users: true }
  const { send, connect, asked } = listener(Family.ipv4, false, [], rules)
  const [key, userKey] = ['ab'.repeat(20), 'cd'.repeat(20)]
  const id = connect()
  const announce = (options: Buffer) => send(announcePacket(id, 1, { options }))
  const why = (options: Buffer) => announce(options).toString('latin1', 8)
  t.equal(why(Buffer.alloc(0)), 'missing key')
  t.equal(why(urlData('/announce')), 'missing key')
  t.equal(why(urlData(`/${key}/announce`)), 'missing key')
  t.match(why(urlData('/abc/announce')), /^invalid key: wrong length/)
  t.match(why(urlData(`/${'x'.repeat(40)}/announce`)), /^invalid key: not hex/)
  t.equal(asked.length, 0)
  announce(urlData(`/${key}/${userKey}/announce?a=b`))
  announce(Buffer.concat([Buffer.of(1), urlData(`/announce/${key}`, `/${userKey}`), Buffer.of(0)]))
  for (const request of asked) {
    t.equal(request.toString('hex', KEY, KEY + 20), key)
    t.equal(request.toString('hex', USER_KEY, USER_KEY + 20), userKey)
  }
  t.equal(asked.length, 2)
})

t.test('where users have keys, an announce has that of its path in any form', async t => {
  const { send, connect, asked } = listener(Family.ipv4, false, [], { keys: false, users: true })
  const userKey = 'cd'.repeat(20)
  const id = connect()
  const announce = (options: Buffer) => send(announcePacket(id, 1, { options }))
  const path = `/${userKey.toUpperCase()}/announce`
  const forms = [
    urlData(path),
    Buffer.concat([urlData(path), Buffer.of(0, 7)]),
    urlData(`${path}?a=b`),
    urlData(path.slice(0, 9), path.slice(9)),
    Buffer.concat([Buffer.of(1), urlData(path)]),
    urlData(`/announce/${userKey}`),
    urlData(`/${'ab'.repeat(20)}/${userKey}/announce`),
  ]
  for (const options of forms) {
    announce(options)
    t.equal(asked.at(-1)?.toString('hex', USER_KEY, USER_KEY + 20), userKey)
    asked.at(-1)?.fill(0)
  }
  t.equal(asked.length, forms.length)
  const bad = urlData(`/${'cd'.repeat(19)}cx/announce`)
  t.match(announce(bad).toString('latin1', 8), /not hex/)
  const cut = urlData(path).subarray(0, -1)
  t.equal(announce(cut).toString('latin1', 8), 'missing key')
  t.equal(asked.length, forms.length)
})

t.test('a `stopped` needs no key, and proves none', async t => {
  const rules = { keys: true, users: true }
  const { send, connect, asked } = listener(Family.ipv4, false, [], rules)
  const id = connect()
  for (const options of [Buffer.alloc(0), urlData('/abc/announce')]) {
    const answer = send(announcePacket(id, 1, { event: 3, options }))
    t.equal(answer.readUInt32BE(0), 1, 'an answer to an announce')
    t.same(asked.at(-1)?.subarray(KEY, KEY + 20), Buffer.alloc(20))
    t.same(asked.at(-1)?.subarray(USER_KEY, USER_KEY + 20), Buffer.alloc(20))
  }
  t.equal(send(scrapePacket(id, 2, hashes(1))).toString('latin1', 8), 'missing key')
})

t.test('where keys are required, a scrape has those of its options or of its address', async t => {
  const rules = { keys: true, users: true }
  const { send, connect, asked } = listener(Family.ipv4, false, [], rules)
  const [key, userKey] = ['ab'.repeat(20), 'cd'.repeat(20)]
  const keysOf = (request: Buffer | undefined) => [
    request?.toString('hex', SCRAPE_KEY, SCRAPE_KEY + 20),
    request?.toString('hex', SCRAPE_USER_KEY, SCRAPE_USER_KEY + 20),
  ]
  const stranger = Buffer.of(198, 51, 100, 9)
  const id = connect()
  const strangersId = send(connectPacket(1), stranger).subarray(8)
  const reason = (answer: Buffer) => answer.toString('latin1', 8)
  t.equal(reason(send(scrapePacket(id, 1, hashes(1)))), 'missing key')

  const options = urlData(`/${key}/${userKey}/scrape`)
  const scraped = send(Buffer.concat([scrapePacket(id, 2, hashes(3)), options]))
  t.equal(scraped.length, 8 + 3 * 12, 'options are not hashes')
  t.same(keysOf(asked.at(-1)), [key, userKey])
  t.equal(reason(send(scrapePacket(id, 3, hashes(1)))), 'missing key', 'a scrape proves nothing')

  const path = urlData(`/${key}/${userKey}/announce`)
  send(announcePacket(id, 4, { options: path, port: FAILING_PORT }))
  t.equal(reason(send(scrapePacket(id, 5, hashes(1)))), 'missing key', 'nor does a failed announce')
  send(announcePacket(id, 6, { options: path }))
  t.equal(send(scrapePacket(id, 7, hashes(2))).length, 8 + 2 * 12)
  t.same(keysOf(asked.at(-1)), [key, userKey], 'the engine checks them again')
  t.equal(reason(send(scrapePacket(strangersId, 8, hashes(1)), stranger)), 'missing key')
})

t.test('a scrape needs no key where anonymous scrapes are allowed', async t => {
  const rules = { keys: true, users: false, anonymousScrape: true }
  const { send, connect } = listener(Family.ipv4, false, [], rules)
  t.equal(send(scrapePacket(connect(), 1, hashes(1))).length, 8 + 12)
})

t.test('a scrape may have no key without scrape_needs_key, and a wrong one is refused', async t => {
  const rules = { keys: true, users: false, scrapeNeedsKey: false }
  const { send, connect, asked } = listener(Family.ipv4, false, [], rules)
  const id = connect()
  t.equal(send(scrapePacket(id, 1, hashes(1))).length, 8 + 12)
  t.equal(asked.at(-1)?.toString('hex', SCRAPE_KEY, SCRAPE_KEY + 20), '0'.repeat(40))
  const wrong = Buffer.concat([scrapePacket(id, 2, hashes(1)), urlData('/short/scrape')])
  t.match(send(wrong).toString('latin1', 8), /invalid key/)
})

t.test('a hash that looks like the beginning of options is a hash', async t => {
  const { send, connect } = listener(Family.ipv4)
  const id = connect()
  const lookalike = Buffer.from('022f2f'.padEnd(40, '0'), 'hex')
  t.equal(send(scrapePacket(id, 1, [...hashes(1), lookalike])).length, 8 + 2 * 12)
  const cut = urlData('/announce').subarray(0, 8)
  t.equal(send(Buffer.concat([scrapePacket(id, 1, hashes(1)), cut])).length, 8 + 12)
})
