import t from 'tap'
import { Failure } from '../../../src/protocol/failures.ts'
import { QUERY_BYTES_MAX, TRANSFER_BYTES_MAX } from '../../../src/protocol/limits.ts'
import { Event } from '../../../src/protocol/records.ts'
import { fc } from '../../fixtures/seed.ts'
import { CLIENT_QUERIES, INFO_HASH_HEX } from '../fixtures/client-queries.ts'
import { announce, IPV4, IPV6, lastSource, RULES, scrape } from '../fixtures/parse.ts'
import { percentEncode } from '../fixtures/percent.ts'
import { type SlowAnnounce, slowAnnounce, slowScrape } from '../fixtures/slow-parse.ts'

const HASH = 'info_hash=aaaaaaaaaabbbbbbbbbb'
const ID = 'peer_id=-XX0001-0123456789ab'
const BASE = `${HASH}&${ID}&port=6881`
const BELIEVING = { ...RULES, usePayloadIp: true }

/** The announce that BASE with `rest` is; fails where it is refused. */
function parsed(rest: string, rules = RULES, connected = IPV4): SlowAnnounce {
  const result = announce(`${BASE}&${rest}`, rules, connected)
  if (typeof result === 'number') throw new Error(`${rest} is refused: ${result}`)
  return result
}

for (const sample of CLIENT_QUERIES) {
  t.test(`an announce of ${sample.client} is parsed`, async t => {
    t.same(announce(sample.query, { ...RULES, numwantDefault: 61 }), {
      infoHash: INFO_HASH_HEX,
      peerId: Buffer.from(sample.peerId, 'latin1').toString('hex'),
      port: sample.port,
      uploaded: Number(/uploaded=(\d+)/.exec(sample.query)?.[1]),
      downloaded: Number(/downloaded=(\d+)/.exec(sample.query)?.[1]),
      left: sample.left,
      event: Event[sample.event],
      numwant: sample.numwant ?? 61,
      dictionary: false,
      peerIds: false,
      bothFamilies: sample.saysIpv6 === true,
      address: IPV4,
    })
  })
}

t.test('info_hash, peer_id and port are required', async t => {
  t.equal(announce(''), Failure.missingInfoHash)
  t.equal(announce(`${ID}&port=1`), Failure.missingInfoHash)
  t.equal(announce(`${HASH}&port=1`), Failure.missingPeerId)
  t.equal(announce(`${HASH}&${ID}`), Failure.invalidPort)
  t.equal(announce(`info_hashh=${'a'.repeat(20)}&info_has=x&${ID}&port=1`), Failure.missingInfoHash)
})

t.test('parameters may follow a second question mark', async t => {
  for (const before of ['?', 'passkey=abc?', 'a=1&passkey=abc?', '?a=1?', 'a?', '&?&']) {
    t.match(announce(`${before}${BASE}&left=0`), { port: 6881, left: 0 }, before)
    t.same(scrape(`${before}${HASH}`), ['61'.repeat(10) + '62'.repeat(10)], before)
  }
  const raw = announce(`info_hash=?aaaaaaaaabbbbbbbbb?&${ID}&port=1`)
  t.match(raw, { infoHash: `3f${'61'.repeat(9)}${'62'.repeat(9)}3f` }, 'part of a hash')
})

t.test('info_hash and peer_id have 20 bytes', async t => {
  for (const length of [0, 1, 19, 21, 40]) {
    const value = 'x'.repeat(length)
    t.equal(announce(`info_hash=${value}&${ID}&port=1`), Failure.invalidInfoHash, `${length}`)
    t.equal(announce(`${HASH}&peer_id=${value}&port=1`), Failure.invalidPeerId, `${length}`)
  }
  t.equal(announce(`info_hash&${ID}&port=1`), Failure.invalidInfoHash, 'a name alone is empty')
})

t.test('broken percent-encoding is refused', async t => {
  for (const broken of ['%', '%4', '%4g', '%g4', '%%41', '%\u01304', '%4\u0130', '\u0141', '%+1']) {
    const value = broken.padStart(19, 'x')
    t.equal(announce(`info_hash=${value}`), Failure.invalidEncoding, `${broken} at the end`)
    t.equal(announce(`info_hash=${value}&${ID}&port=1`), Failure.invalidEncoding, broken)
    t.equal(announce(`${HASH}&peer_id=${value}&port=1`), Failure.invalidEncoding, broken)
    t.equal(scrape(`info_hash=${value}`), Failure.invalidEncoding, broken)
  }
  t.type(
    announce(`${BASE}&key=%zz&trackerid=%`),
    'object',
    'an unused parameter may have any value',
  )
})

t.test('plus and equals signs and unescaped bytes stand for themselves', async t => {
  const result = announce(`info_hash=+++++=====\xff\x80\x01 /?#[]%2B&${ID}&port=1`)
  t.match(result, {
    infoHash: Buffer.from('+++++=====\xff\x80\x01 /?#[]+', 'latin1').toString('hex'),
  })
})

t.test('a repeated info_hash, peer_id or port must have the same value', async t => {
  for (const again of [HASH, ID, 'port=6881', 'port=06881', 'PORT=6%3881']) {
    t.match(announce(`${HASH}&${ID}&port=6881&${again}`), { port: 6881 }, again)
  }
  const other = (text: string) => text.replace(/.$/, '!')
  for (const again of [other(HASH), other(ID), 'port=6882', 'port', 'port=-1']) {
    t.equal(announce(`${HASH}&${ID}&port=6881&${again}`), Failure.duplicateParameter, again)
  }
  t.equal(announce(`${BASE}&info_hash=%`), Failure.invalidEncoding)
  t.equal(announce(`${BASE}&peer_id=short`), Failure.invalidPeerId)
  t.equal(parsed('left=1&left=2&left=3').left, 3, 'of others the last one counts')
})

t.test('a port is a number from 0 to 65535, which stopped does not need', async t => {
  const portOf = (port: string) => announce(`${HASH}&${ID}&port=${port}`)
  t.match(portOf('0'), { port: 0 })
  t.match(portOf('1'), { port: 1 })
  t.match(portOf('65535'), { port: 65535 })
  t.match(portOf('0006881'), { port: 6881 })
  t.match(portOf('%36%38%38%31'), { port: 6881 })
  t.match(portOf('688%31'), { port: 6881 })
  const unreadable = ['', '65536', '-1', '+1', '1.5', '0x50', '80 ', '80%20', '%', '%3', '%2B1']
  for (const port of [...unreadable, '%30'.repeat(60), '9'.repeat(400)]) {
    t.equal(portOf(port), Failure.invalidPort, port)
    t.match(portOf(`${port}&event=stopped`), { port: 0, event: Event.stopped }, port)
  }
  t.match(announce(`${HASH}&${ID}&event=stopped`), { port: 0, event: Event.stopped })
})

t.test(
  'invalid uploaded and downloaded are 0, and an invalid left is that of a leecher',
  async t => {
    for (const name of ['uploaded', 'downloaded', 'left'] as const) {
      const unreadable = name === 'left' ? TRANSFER_BYTES_MAX : 0
      t.equal(parsed('')[name], unreadable)
      for (const value of ['', '-1', '1e3', 'NaN', '12a', 'a12', '%2D1', '5%20', '٣']) {
        t.equal(parsed(`${name}=${value}`)[name], unreadable, `${name}=${value}`)
      }
      const exact = [
        1,
        9,
        10,
        4_294_967_295,
        4_294_967_296,
        TRANSFER_BYTES_MAX - 1,
        TRANSFER_BYTES_MAX,
      ]
      t.equal(parsed(`${name}=0`)[name], 0)
      for (const value of exact) t.equal(parsed(`${name}=${value}`)[name], value)
      const larger = [
        '281474976710656',
        '9007199254740993',
        '18446744073709551615',
        '9'.repeat(5000),
      ]
      for (const value of larger) t.equal(parsed(`${name}=${value}`)[name], TRANSFER_BYTES_MAX)
    }
  },
)

t.test('events other than the three of BEP 3 are none', async t => {
  const eventOf = (event: string) => parsed(`event=${event}`).event
  t.same(['started', 'stopped', 'completed'].map(eventOf), [2, 3, 1])
  t.same(['Started', 'STOPPED', 'cOmPlEtEd'].map(eventOf), [2, 3, 1], 'in any case')
  t.same(['st%61rted', '%53topped'].map(eventOf), [2, 3], 'percent-encoded')
  const none = ['', 'empty', 'paused', 'start', 'startedd', 'started=', 'started%20', '%', '0']
  for (const event of none) t.equal(eventOf(event), Event.none, event)
  t.equal(parsed('event').event, Event.none)
})

t.test('numwant is what was asked for, within the configuration', async t => {
  const numwantOf = (numwant: string) => parsed(`numwant=${numwant}`).numwant
  t.same(
    ['1', '50', '200', '201', '70000', '9'.repeat(30)].map(numwantOf),
    [1, 50, 200, 200, 200, 200],
  )
  for (const value of ['0', '00', '5&numwant=0']) t.equal(numwantOf(value), 0, value)
  for (const value of ['', '-1', 'many', '%2D1']) t.equal(numwantOf(value), 50, value)
  t.equal(parsed('').numwant, 50)
  t.equal(parsed('', { ...RULES, numwantDefault: 300 }).numwant, 200)
})

t.test('compact=0 asks for the dictionary form, with peer ids unless no_peer_id', async t => {
  const formOf = (rest: string) => {
    const { dictionary, peerIds } = parsed(rest)
    return { dictionary, peerIds }
  }
  const compact = { dictionary: false, peerIds: false }
  t.same(formOf(''), compact)
  t.same(formOf('compact=1'), compact)
  t.same(formOf('compact'), compact)
  t.same(formOf('compact=00'), compact)
  t.same(formOf('compact=1&no_peer_id=0'), compact)
  t.same(formOf('compact=0'), { dictionary: true, peerIds: true })
  t.same(formOf('no_peer_id=0&compact=0'), { dictionary: true, peerIds: true })
  t.same(formOf('compact=0&no_peer_id=1'), { dictionary: true, peerIds: false })
  t.same(formOf('no_peer_id&compact=0'), { dictionary: true, peerIds: false })
  t.same(formOf('compact=0&no_peer_id='), { dictionary: true, peerIds: false })
})

t.test('an address of the other family is noted, and any other is ignored', async t => {
  const claims: [string, string, boolean][] = [
    [IPV4, 'ipv6=2001:db8::1', true],
    [IPV4, 'ipv6=%5B2001%3Adb8%3A%3A1%5D%3A6881', true],
    [IPV4, 'ipv4=192.0.2.1', false],
    [IPV4, 'ipv6=192.0.2.1', false],
    [IPV4, 'ipv6=', false],
    [IPV4, 'ipv6=fe80::1', false],
    [IPV4, 'ipv6=fe80::1%eth0', false],
    [IPV4, 'ipv6=::', false],
    [IPV4, 'ipv6=::ffff:192.0.2.1', false],
    [IPV4, 'ip=2001:db8::1', false],
    [IPV6, 'ipv4=192.0.2.1:6881', true],
    [IPV6, 'ipv4=0.0.0.0', false],
    [IPV6, 'ipv4=2001:db8::1', false],
    [IPV6, 'ipv6=2001:db8::1', false],
  ]
  for (const [connected, rest, bothFamilies] of claims) {
    t.match(parsed(rest, RULES, connected), { bothFamilies, address: connected }, rest)
  }
})

t.test('a claimed address is accepted if the configuration allows it', async t => {
  const addressOf = (rest: string, connected = IPV4) => parsed(rest, BELIEVING, connected).address
  const v4 = 'c0000201'
  const v6 = '20010db8000000000000000000000001'
  for (const ip of [
    '192.0.2.1',
    '192.0.2.1:6881',
    '%3192.0.2.1',
    '::ffff:192.0.2.1',
    '[::ffff:c000:201]:1',
  ]) {
    t.equal(addressOf(`ip=${ip}`), v4, ip)
  }
  const ways = [
    '2001:db8::1',
    '2001:DB8:0:0:0:0:0:1',
    '2001:0db8::0001',
    '[2001:db8::1]',
    '[2001:db8::1]:65535',
    '2001:db8::0.0.0.1',
    '2001:db8:0:0:0:0::1',
  ]
  for (const ip of ways) t.equal(addressOf(`ip=${ip}`), v6, ip)
  t.equal(addressOf('ip=192.0.2.1', IPV6), v4)
  t.equal(addressOf('ipv6=2001:db8::1'), v6)
  t.equal(addressOf('ipv4=192.0.2.1', IPV6), v4)
  t.equal(addressOf('ipv4=192.0.2.1&ipv6=2001:db8::1'), v4, 'the connection’s family goes first')
  t.equal(addressOf('ipv4=192.0.2.1&ipv6=2001:db8::1', IPV6), v6)
  t.equal(addressOf('ip=192.0.2.9&ipv4=192.0.2.1'), 'c0000209', 'and `ip` before all')
  t.equal(parsed('ipv4=192.0.2.1&ipv6=2001:db8::1', BELIEVING).bothFamilies, true)
})

t.test('an invalid address leaves that of the connection', async t => {
  const none = [
    '',
    '1',
    '1.2.3',
    '1.2.3.4.5',
    '1.2.3.256',
    '1.2.3.04',
    '1.2.3.',
    '.1.2.3',
    '1..2.3',
    '1.2.3.4:',
    '1.2.3.4:x',
    '1.2.3.4 ',
    '[1.2.3.4]',
    '0.0.0.0',
    ':',
    ':::',
    '::',
    '1::2::3',
    '1:2:3:4:5:6:7',
    '1:2:3:4:5:6:7:',
    ':1:2:3:4:5:6:7',
    '1:2:3:4:5:6:7:8:9',
    '1:2:3:4:5:6:7::8:9',
    '12345::',
    '::g',
    '1:2:3:4:5:6:7:1.2.3.4',
    '::1.2.3',
    '1.2.3.4::',
    '[::1',
    '::1]',
    '[::1]x',
    '[::1]:',
    '[]',
    'fe80::1',
    'febf::1',
    'localhost',
    '%',
    '%3',
    '::1%lo',
    '%00',
    `::${'0'.repeat(60)}`,
    '\u0131.2.3.4',
  ]
  for (const ip of none) t.equal(parsed(`ip=${ip}`, BELIEVING).address, IPV4, ip)
})

t.test('a query is 8192 bytes at most', async t => {
  const fill = (length: number) => `${BASE}&key=`.padEnd(length, 'k')
  t.type(announce(fill(QUERY_BYTES_MAX)), 'object')
  t.equal(announce(fill(QUERY_BYTES_MAX + 1)), Failure.queryTooLong)
  t.equal(scrape(fill(QUERY_BYTES_MAX + 1)), Failure.queryTooLong)
})

t.test('surplus separators, names without values and unknown parameters are skipped', async t => {
  const plain = announce(BASE)
  for (const query of [
    `&${BASE}`,
    `&&&${BASE}&&`,
    `=&${BASE}&=&=x`,
    `ports=1&${BASE}&portx&__proto__=2&%5f_proto__&constructor=1&%zz=3`,
  ]) {
    t.same(announce(query), plain, query)
  }
})

t.test('names are read in any case and percent-encoded', async t => {
  const plain = announce(`${BASE}&left=7&event=started&compact=0&numwant=3&ipv6=2001:db8::1`)
  for (const query of [
    `INFO_HASH=aaaaaaaaaabbbbbbbbbb&Peer_Id=-XX0001-0123456789ab&PORT=6881&LEFT=7` +
      '&Event=started&COMPACT=0&NumWant=3&IPv6=2001:db8::1',
    `info%5fhash=aaaaaaaaaabbbbbbbbbb&peer%5Fid=-XX0001-0123456789ab&p%6Frt=6881&l%65ft=7` +
      '&%65vent=started&c%6fmpact=0&numwan%74=3&ip%766=2001:db8::1',
  ]) {
    t.same(announce(query), plain, query)
  }
  t.same(scrape(`INFO_HASH=${'a'.repeat(20)}&info%5Fhash=${'b'.repeat(20)}`), [
    '61'.repeat(20),
    '62'.repeat(20),
  ])
})

t.test('a scrape names each hash once, sorted', async t => {
  const of = (byte: string) => `info_hash=${byte.repeat(20)}`
  t.same(scrape(of('b')), ['62'.repeat(20)])
  t.same(scrape([of('c'), of('%00'), 'x=1', of('%FF'), of('c'), of('a'), of('%ff')].join('&')), [
    '00'.repeat(20),
    '61'.repeat(20),
    '63'.repeat(20),
    'ff'.repeat(20),
  ])
  t.equal(scrape(''), Failure.missingInfoHash)
  t.equal(scrape('hash=1&infohash=2'), Failure.missingInfoHash)
  t.equal(scrape(`${of('a')}&info_hash=short`), Failure.invalidInfoHash)
})

t.test('a scrape names 100 different hashes at most', async t => {
  const query = (count: number) =>
    Array.from({ length: count }, (_, n) => `info_hash=${String(n).padStart(20, '0')}`).join('&')
  t.equal((scrape(query(100)) as string[]).length, 100)
  t.equal((scrape(`${query(100)}&${query(100)}`) as string[]).length, 100)
  t.equal(scrape(query(101)), Failure.tooManyHashes)
})

const twentyBytes = fc.uint8Array({ minLength: 20, maxLength: 20 })
const encoded = (bytes: Uint8Array, raw: readonly boolean[]) =>
  Array.from(bytes, (byte, n) => {
    const plain = raw[n] === true && byte !== 0x25 && byte !== 0x26
    return plain ? String.fromCharCode(byte) : `%${byte.toString(16).padStart(2, '0')}`
  }).join('')
const raws = fc.array(fc.boolean(), { minLength: 20, maxLength: 20 })

t.test('any announce is parsed like by a simple parser, in any order', async t => {
  const number = fc.oneof(fc.nat().map(String), fc.bigInt(0n, 2n ** 70n).map(String), fc.string())
  const one = (name: string, value: fc.Arbitrary<string>) => value.map(text => `${name}=${text}`)
  const address = fc.oneof(
    fc.ipV4(),
    fc.ipV6(),
    fc.ipV6().map(text => `[${text}]:1`),
    fc.string(),
  )
  const optional = fc.oneof(
    ...['uploaded', 'downloaded', 'left', 'numwant', 'key', 'corrupt'].map(name =>
      one(name, number),
    ),
    one('event', fc.constantFrom('started', 'stopped', 'completed', 'paused', '')),
    one('compact', fc.constantFrom('0', '1', '')),
    one('no_peer_id', fc.constantFrom('0', '1', '')),
    ...['ip', 'ipv4', 'ipv6'].map(name => one(name, fc.oneof(address, address.map(encodeURI)))),
    fc.string(),
  )
  const query = fc
    .tuple(
      twentyBytes,
      raws,
      twentyBytes,
      raws,
      fc.integer({ min: -1, max: 65_540 }),
      fc.array(optional),
    )
    .chain(([hash, hashRaw, id, idRaw, port, rest]) =>
      fc.shuffledSubarray(
        [
          `info_hash=${encoded(hash, hashRaw)}`,
          `peer_id=${encoded(id, idRaw)}`,
          `port=${port}`,
          ...rest,
        ],
        { minLength: rest.length + 2 },
      ),
    )
    .map(parts => parts.join('&'))
  fc.assert(
    fc.property(query, fc.boolean(), fc.constantFrom(IPV4, IPV6), (text, usePayloadIp, from) => {
      const rules = { ...RULES, usePayloadIp }
      return t.same(announce(text, rules, from), slowAnnounce(text, rules, from), text)
    }),
    { numRuns: 3000 },
  )
})

t.test('any scrape is parsed like by a simple parser', async t => {
  const hash = fc.oneof(twentyBytes.map(percentEncode), fc.constantFrom('a'.repeat(20), 'b', '%'))
  const query = fc
    .array(hash, { maxLength: 130 })
    .map(all => all.map(one => `info_hash=${one}`).join('&'))
  fc.assert(
    fc.property(query, text => t.same(scrape(text), slowScrape(text), text)),
    { numRuns: 500 },
  )
})

t.test('the source address is noted beside a claimed address', async t => {
  const sourceOf = (rest: string, rules = BELIEVING, connected = IPV4) => {
    parsed(rest, rules, connected)
    return lastSource()
  }
  t.equal(sourceOf('ipv6=2001:db8::1&ip=192.0.2.1'), `00000000${IPV4}`)
  t.equal(sourceOf('ip=192.0.2.1', BELIEVING, IPV6), IPV6.slice(0, 16))
  t.equal(sourceOf('ip=192.0.2.1', RULES), undefined, 'not believed')
  t.equal(sourceOf('ip=none'), undefined, 'no claim')
})
