import bencode from 'bencode'
import t from 'tap'
import { type Bytes, bytesOf } from '../../../src/protocol/bytes.ts'
import {
  FAILURE_TEXT_CHARACTERS_MAX,
  Failure,
  failureAnswer,
  failureAnswers,
  STANDARD_ANSWERS,
} from '../../../src/protocol/failures.ts'
import * as response from '../../../src/protocol/http/response.ts'
import * as record from '../../../src/protocol/records.ts'
import * as scrapeRecord from '../../../src/protocol/records.ts'
import { fc } from '../../fixtures/seed.ts'
import { guarded, isIntact } from '../fixtures/guarded.ts'

const AT = 24
const EXTERNAL_IPV4 = Uint8Array.of(198, 51, 100, 9)
const EXTERNAL_IPV6 = Uint8Array.from(Buffer.from('20010db8000000000000000000000009', 'hex'))
const { dictionary, peerIds } = record.Flag
const latin1 = (bytes: Uint8Array) => Buffer.from(bytes).toString('latin1')

type ReplyFields = {
  ipv4?: readonly string[]
  ipv6?: readonly string[]
  ids?: readonly string[]
  flags?: number
  seeders?: number
  leechers?: number
  completed?: number
  interval?: number
}

/**
 * A reply record as the engine writes it, not at the start of its memory. Peers are hex, ids text.
 */
function announceReply(fields: ReplyFields): Bytes {
  const { ipv4 = [], ipv6 = [], ids = [], flags = 0 } = fields
  const peers = Buffer.concat([...ipv4, ...ipv6].map(peer => Buffer.from(peer, 'hex')))
  const header = Buffer.alloc(AT + record.REPLY_HEADER_BYTES, 0xee)
  const reply = bytesOf(
    Uint8Array.from(Buffer.concat([header, peers, Buffer.from(ids.join(''), 'latin1')])),
  )
  const { u8, view } = reply
  u8[AT + record.FAILURE] = 0
  u8[AT + record.REPLY_FLAGS] = flags
  view.setUint16(AT + record.PEER_COUNT[0], ipv4.length, true)
  view.setUint16(AT + record.PEER_COUNT[1], ipv6.length, true)
  view.setUint32(AT + record.SEEDERS, fields.seeders ?? 3, true)
  view.setUint32(AT + record.LEECHERS, fields.leechers ?? 5, true)
  view.setUint32(AT + record.COMPLETED, fields.completed ?? 7, true)
  view.setUint32(AT + record.INTERVAL, fields.interval ?? 1834, true)
  return reply
}

/** The answer, written into exactly the space that it claims to need. */
function answer(fields: ReplyFields, externalIp = EXTERNAL_IPV4, minInterval = 900): string {
  const reply = announceReply(fields)
  const room = guarded(response.announceAnswerBytesMax(reply, AT))
  const { u8 } = room.bytes
  const length = response.formatAnnounce(reply, AT, externalIp, minInterval, u8.subarray(room.at))
  if (length > room.size || !isIntact(room)) throw new Error('wrote outside its room')
  return latin1(u8.subarray(room.at, room.at + length))
}

const HEAD =
  'd8:completei3e10:downloadedi7e11:external ip4:\xc6\x33\x64\x0910:incompletei5e' +
  '8:intervali1834e12:min intervali900e'

t.test('an answer without peers still has `peers`', async t => {
  t.equal(answer({}), `${HEAD}5:peers0:e`)
  t.equal(answer({ flags: dictionary }), `${HEAD}5:peerslee`)
})

t.test('compact peers are the bytes of the swarm', async t => {
  const ipv4 = ['c00002011ae1', 'c000020200ff']
  const ipv6 = [`${'20010db8'.padEnd(32, '1')}1ae1`]
  const bytes4 = '\xc0\x00\x02\x01\x1a\xe1\xc0\x00\x02\x02\x00\xff'
  const bytes6 = latin1(Buffer.from(ipv6[0] as string, 'hex'))
  t.equal(answer({ ipv4 }), `${HEAD}5:peers12:${bytes4}e`)
  t.equal(answer({ ipv4, ipv6 }), `${HEAD}5:peers12:${bytes4}6:peers618:${bytes6}e`)
  t.equal(answer({ ipv6 }), `${HEAD}5:peers0:6:peers618:${bytes6}e`)
})

t.test('a response over IPv6 has an IPv6 address and always `peers6`', async t => {
  const head = HEAD.replace('4:\xc6\x33\x64\x09', `16:${latin1(EXTERNAL_IPV6)}`)
  t.equal(answer({}, EXTERNAL_IPV6), `${head}5:peers0:6:peers60:e`)
  t.equal(
    answer({ ipv4: ['c00002011ae1'] }, EXTERNAL_IPV6),
    `${head}5:peers6:\xc0\x00\x02\x01\x1a\xe16:peers60:e`,
  )
  t.equal(answer({ flags: dictionary }, EXTERNAL_IPV6), `${head}5:peerslee`)
})

t.test('the dictionary form lists peers of both families in text', async t => {
  const ipv4 = ['c00002011ae1', '0a0000640001']
  const ipv6 = ['20010db8000000000000000000000007ffff', `${'0'.repeat(31)}11ae1`]
  const list = (ids: readonly string[]) =>
    [
      `d2:ip9:192.0.2.1${ids[0] ?? ''}4:porti6881ee`,
      `d2:ip10:10.0.0.100${ids[1] ?? ''}4:porti1ee`,
      `d2:ip11:2001:db8::7${ids[2] ?? ''}4:porti65535ee`,
      `d2:ip3:::1${ids[3] ?? ''}4:porti6881ee`,
    ].join('')
  t.equal(answer({ ipv4, ipv6, flags: dictionary }), `${HEAD}5:peersl${list([])}ee`)
  const ids = ['a', '\x00', '\xff', 'e'].map(byte => byte.repeat(20))
  t.equal(
    answer({ ipv4, ipv6, ids, flags: dictionary | peerIds }),
    `${HEAD}5:peersl${list(ids.map(id => `7:peer id20:${id}`))}ee`,
  )
})

t.test('the largest answers fit the space that they reserve', async t => {
  const most = 0xffff_ffff
  const counts = { seeders: most, leechers: most, completed: most, interval: most }
  const wide = Array.from({ length: 400 }, () => 'fffffffffffffffffffffffffffffffffff1')
  const ids = wide.map(() => 'i'.repeat(20))
  const ipv4 = wide.map(() => 'ffffffffffff')
  for (const fields of [
    { ipv4, ipv6: wide },
    { ipv4, flags: dictionary },
    { ipv6: wide, ids, flags: dictionary | peerIds },
    {},
  ]) {
    const text = answer({ ...counts, ...fields }, EXTERNAL_IPV6, Number.MAX_SAFE_INTEGER)
    t.match(text, /^d8:completei4294967295e.*12:min intervali9007199254740991e5:peers/s)
  }
})

t.test('any answer is canonical bencode with the content of the reply', async t => {
  const u32 = fc.integer({ min: 0, max: 0xffff_ffff })
  const peer = (bytes: number) =>
    fc
      .uint8Array({ minLength: bytes, maxLength: bytes })
      .map(value => Buffer.from(value).toString('hex'))
  const fields = fc.record({
    ipv4: fc.array(peer(6), { maxLength: 80 }),
    ipv6: fc.array(peer(18), { maxLength: 80 }),
    flags: fc.constantFrom(0, dictionary, dictionary | peerIds),
    seeders: u32,
    leechers: u32,
    completed: u32,
    interval: u32,
  })
  fc.assert(
    fc.property(fields, fc.boolean(), (reply, overIpv6) => {
      const ids = [...reply.ipv4, ...reply.ipv6].map((_, n) => String(n).padStart(20, '\xfe'))
      const withIds = (reply.flags & peerIds) !== 0
      const externalIp = overIpv6 ? EXTERNAL_IPV6 : EXTERNAL_IPV4
      const text = answer({ ...reply, ids: withIds ? ids : [] }, externalIp)
      const bytes = Buffer.from(text, 'latin1')
      const decoded = bencode.decode(bytes) as Record<string, unknown>
      t.ok(bytes.equals(bencode.encode(decoded)), 'sorted, and nothing written twice')
      const { peers, peers6, ...rest } = decoded
      t.same(rest, {
        complete: reply.seeders,
        downloaded: reply.completed,
        'external ip': externalIp,
        incomplete: reply.leechers,
        interval: reply.interval,
        'min interval': 900,
      })
      if (reply.flags === 0) {
        t.equal(Buffer.from(peers as Uint8Array).toString('hex'), reply.ipv4.join(''))
        const listed6 =
          peers6 === undefined ? '' : Buffer.from(peers6 as Uint8Array).toString('hex')
        t.equal(listed6, reply.ipv6.join(''))
        t.equal(peers6 === undefined, !overIpv6 && reply.ipv6.length === 0)
        return
      }
      const listed = (peers as Record<string, Uint8Array | number>[]).map(one => ({
        ...one,
        ip: latin1(one['ip'] as Uint8Array),
        ...(withIds && { 'peer id': latin1(one['peer id'] as Uint8Array) }),
      }))
      t.same(
        listed,
        [...reply.ipv4, ...reply.ipv6].map((hex, n) => ({
          ip: textOf(hex.slice(0, -4)),
          ...(withIds && { 'peer id': ids[n] }),
          port: Number.parseInt(hex.slice(-4), 16),
        })),
      )
    }),
    { numRuns: 200 },
  )
})

/** Address text as the URL standard writes it, which agrees with RFC 5952. */
function textOf(hex: string): string {
  if (hex.length === 8) return [...Buffer.from(hex, 'hex')].join('.')
  return new URL(`http://[${hex.match(/.{4}/g)?.join(':')}]`).hostname.slice(1, -1)
}

t.test('IPv6 addresses have the form of RFC 5952', async t => {
  const group = fc.constantFrom('0000', '0000', '0001', '00ab', '0c00', 'ffff')
  const address = fc.array(group, { minLength: 8, maxLength: 8 }).map(groups => groups.join(''))
  fc.assert(
    fc.property(address, hex => {
      const text = answer({ ipv6: [`${hex}1ae1`], flags: dictionary })
      const written = /d2:ip\d+:(.*?)4:porti/.exec(text)?.[1]
      return t.equal(written, textOf(hex))
    }),
    { numRuns: 2000 },
  )
})

function scrapeAnswer(entries: readonly (readonly [string, number, number, number])[]): string {
  const size = scrapeRecord.SCRAPE_HEADER_BYTES + entries.length * scrapeRecord.ENTRY_BYTES
  const reply = bytesOf(new Uint8Array(AT + size))
  reply.view.setUint16(AT + scrapeRecord.HASH_COUNT, entries.length, true)
  for (const [n, [hash, seeders, completed, leechers]] of entries.entries()) {
    const entry = AT + scrapeRecord.SCRAPE_HEADER_BYTES + n * scrapeRecord.ENTRY_BYTES
    reply.u8.set(Buffer.from(hash, 'latin1'), entry + scrapeRecord.ENTRY_HASH)
    reply.view.setUint32(entry + scrapeRecord.ENTRY_SEEDERS, seeders, true)
    reply.view.setUint32(entry + scrapeRecord.ENTRY_COMPLETED, completed, true)
    reply.view.setUint32(entry + scrapeRecord.ENTRY_LEECHERS, leechers, true)
  }
  const room = guarded(response.scrapeAnswerBytesMax(reply, AT))
  const length = response.formatScrape(reply, AT, 1800, room.bytes.u8.subarray(room.at))
  if (length > room.size || !isIntact(room)) throw new Error('wrote outside its room')
  return latin1(room.bytes.u8.subarray(room.at, room.at + length))
}

t.test('a scrape is answered with files and flags', async t => {
  const flags = '5:flagsd20:min_request_intervali1800eee'
  const binary = '\x00\xff'.repeat(10)
  t.equal(
    scrapeAnswer([
      [binary, 1, 20, 300],
      ['a'.repeat(20), 0, 0, 0],
    ]),
    `d5:filesd20:${binary}d8:completei1e10:downloadedi20e10:incompletei300ee` +
      `20:${'a'.repeat(20)}d8:completei0e10:downloadedi0e10:incompletei0eee${flags}`,
  )
  t.equal(scrapeAnswer([]), `d5:filesde${flags}`)
})

t.test('a scrape of 100 torrents is canonical bencode', async t => {
  const entries = Array.from(
    { length: 100 },
    (_, n) => [String(n).padStart(20, '-'), 0xffff_ffff, 0xffff_ffff - n, n] as const,
  )
  const bytes = Buffer.from(scrapeAnswer(entries), 'latin1')
  const decoded = bencode.decode(bytes)
  t.ok(bytes.equals(bencode.encode(decoded)))
  t.same(decoded, {
    files: Object.fromEntries(
      entries.map(([hash, complete, downloaded, incomplete]) => [
        hash,
        { complete, downloaded, incomplete },
      ]),
    ),
    flags: { min_request_interval: 1800 },
  })
})

t.test('a failure has a reason, intervals and when to retry, in canonical bencode', async t => {
  const codes = Object.values(Failure).filter(code => code !== Failure.none)
  for (const code of [...codes, 99, 255]) {
    const room = guarded(response.FAILURE_BYTES_MAX)
    const length = response.formatFailure(STANDARD_ANSWERS, code, room.bytes.u8.subarray(room.at))
    t.ok(isIntact(room) && length <= response.FAILURE_BYTES_MAX)
    const { text, interval, retry } = failureAnswer(STANDARD_ANSWERS, code)
    const written = Buffer.from(room.bytes.u8.subarray(room.at, room.at + length))
    const decoded = bencode.decode(written) as Record<string, unknown>
    const retryIn = decoded['retry in']
    const read = { ...decoded, 'failure reason': latin1(decoded['failure reason'] as Uint8Array) }
    t.same(
      {
        ...read,
        'retry in': typeof retryIn === 'number' ? retryIn : latin1(retryIn as Uint8Array),
      },
      {
        'failure reason': text,
        interval,
        'min interval': interval,
        'retry in': retry === 'never' ? 'never' : interval / 60,
      },
    )
    t.ok(written.equals(bencode.encode(decoded)))
  }
})

t.test('the longest text of an operator fits', async t => {
  const text = '~'.repeat(FAILURE_TEXT_CHARACTERS_MAX)
  const answers = failureAnswers({ texts: { overloaded: text }, intervals: { overloaded: 86_400 } })
  const room = guarded(response.FAILURE_BYTES_MAX)
  const length = response.formatFailure(
    answers,
    Failure.overloaded,
    room.bytes.u8.subarray(room.at),
  )
  t.ok(isIntact(room) && length <= response.FAILURE_BYTES_MAX)
  const written = latin1(room.bytes.u8.subarray(room.at, room.at + length))
  t.equal(
    written,
    `d14:failure reason200:${text}8:intervali86400e12:min intervali86400e8:retry ini1440ee`,
  )
})
