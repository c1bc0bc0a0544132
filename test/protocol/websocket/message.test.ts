import t from 'tap'
import { allocate } from '../../../src/protocol/bytes.ts'
import { Failure, STANDARD_ANSWERS } from '../../../src/protocol/failures.ts'
import {
  OFFER_ID_CHARACTERS_MAX,
  OFFERS_MAX,
  SCRAPE_HASHES_MAX,
  TRANSFER_BYTES_MAX,
} from '../../../src/protocol/limits.ts'
import * as record from '../../../src/protocol/records.ts'
import * as scrape from '../../../src/protocol/records.ts'
import { Event } from '../../../src/protocol/records.ts'
import {
  type AnnounceMessage,
  formatAnswer,
  formatFailure,
  formatOffer,
  formatScrape,
  parseMessage,
  readPeerId,
  type ScrapeMessage,
  scrapeRecordBytes,
  writeAnnounceRecord,
  writeScrapeRecord,
} from '../../../src/protocol/websocket/message.ts'
import { rounds } from '../../fixtures/rounds.ts'
import { fc } from '../../fixtures/seed.ts'

const HASH = '\x00\x01\x7f\x80\xff"\\\n1234567890ab'
const PEER = '-WW0100-\xfe0123456789a'
const OFFER = { offer: { type: 'offer', sdp: 'v=0\r\n' }, offer_id: 'o'.repeat(20) }
const offerOf = (sdp: string) => ({ offer: { type: 'offer', sdp }, offer_id: 'o' })
const ANNOUNCE = { action: 'announce', info_hash: HASH, peer_id: PEER }
const ANSWER = {
  ...ANNOUNCE,
  answer: { type: 'answer', sdp: 'v=0\r\n' },
  to_peer_id: PEER,
  offer_id: 'x',
}

const DESCRIPTION_BYTES_MAX = 1000
const read = (text: string) => parseMessage(text, DESCRIPTION_BYTES_MAX)
const parse = (message: unknown) => read(JSON.stringify(message))

/** Strings of 20 bytes. */
const hashes = fc
  .uint8Array({ minLength: 20, maxLength: 20 })
  .map(bytes => Buffer.from(bytes).toString('latin1'))
const counts = fc.integer({ min: 0, max: TRANSFER_BYTES_MAX })
const offers = fc.record(
  { offerId: fc.string({ minLength: 1, maxLength: 20 }), sdp: fc.string() },
  { noNullPrototype: true },
)

t.test('an announce and its record have the values of the message', async t => {
  fc.assert(
    fc.property(
      hashes,
      hashes,
      counts,
      counts,
      counts,
      fc.constantFrom('started', 'stopped', 'completed', 'update', undefined),
      fc.array(offers, { maxLength: OFFERS_MAX }),
      (infoHash, peerId, uploaded, downloaded, left, event, made) => {
        const message = parse({
          action: 'announce',
          info_hash: infoHash,
          peer_id: peerId,
          uploaded,
          downloaded,
          left,
          event,
          numwant: 3,
          offers: made.map(({ offerId, sdp }) => ({
            offer: { type: 'offer', sdp },
            offer_id: offerId,
          })),
        }) as AnnounceMessage
        const events = {
          started: Event.started,
          stopped: Event.stopped,
          completed: Event.completed,
        }
        const wanted = { event: events[event as 'started'] ?? Event.none }
        t.strictSame(message, {
          kind: 'announce',
          infoHash,
          peerId,
          ...wanted,
          uploaded,
          downloaded,
          left,
          numwant: 3,
          offers: made,
        })
        const into = allocate(record.WEBSOCKET_ANNOUNCE_BYTES + 8)
        into.u8.fill(0xff)
        writeAnnounceRecord(message, into, 8)
        const { u8, view } = into
        t.equal(u8[8 + record.KIND], record.Kind.announce)
        t.equal(u8[8 + record.FAMILY], record.Family.websocket)
        t.equal(u8[8 + record.EVENT], wanted.event)
        t.equal(u8[8 + record.FLAGS], 0)
        t.equal(view.getUint16(8 + record.PORT, true), 0)
        t.equal(view.getUint16(8 + record.NUMWANT, true), Math.min(3, made.length))
        t.equal(readPeerId(u8, 8 + record.INFO_HASH), infoHash)
        t.equal(readPeerId(u8, 8 + record.PEER_ID), peerId)
        t.equal(record.readU64(view, 8 + record.UPLOADED), uploaded)
        t.equal(record.readU64(view, 8 + record.DOWNLOADED), downloaded)
        t.equal(record.readU64(view, 8 + record.LEFT), left)
      },
    ),
    { numRuns: 200 },
  )
})

t.test('numwant bounds the peers, and without it each offer asks for one', async t => {
  const numwantOf = (numwant: unknown) => {
    const into = allocate(record.WEBSOCKET_ANNOUNCE_BYTES)
    const message = parse({ ...ANNOUNCE, numwant, offers: [OFFER, OFFER] }) as AnnounceMessage
    writeAnnounceRecord(message, into, 0)
    return into.view.getUint16(record.NUMWANT, true)
  }
  t.same([0, '0', 1, 2, 50].map(numwantOf), [0, 0, 1, 2, 2])
  for (const unreadable of [undefined, null, -1, 'x', '', {}, Number.NaN]) {
    t.equal(numwantOf(unreadable), 2, String(unreadable))
  }
})

t.test('an event is read in any case', async t => {
  for (const event of ['STOPPED', 'Stopped']) {
    t.match(parse({ ...ANNOUNCE, event }), { event: Event.stopped })
  }
  for (const event of ['paused', '', 3, null]) {
    t.match(parse({ ...ANNOUNCE, event }), { event: Event.none })
  }
})

t.test('a left that cannot be read is a leecher, and numbers may be strings', async t => {
  for (const left of [undefined, null, -1, '', ' ', '-1', '0x0', 'NaN', Number.NaN, {}, []]) {
    t.match(parse({ ...ANNOUNCE, left }), { left: TRANSFER_BYTES_MAX })
  }
  t.match(parse({ ...ANNOUNCE, left: '0' }), { left: 0 })
  t.match(parse({ ...ANNOUNCE, left: 0, uploaded: 1.9, downloaded: 1e300 }), {
    left: 0,
    uploaded: 1,
    downloaded: TRANSFER_BYTES_MAX,
  })
})

t.test('a failure names the message that it answers', async t => {
  const failures: [message: unknown, failure: Failure, more?: object][] = [
    [[], Failure.invalidJson],
    [null, Failure.invalidJson],
    ['announce', Failure.invalidJson],
    [{}, Failure.invalidAction],
    [{ ...ANNOUNCE, action: 'connect' }, Failure.invalidAction],
    [{ action: 'announce' }, Failure.missingInfoHash, { action: 'announce' }],
    [{ ...ANNOUNCE, info_hash: HASH.slice(1) }, Failure.invalidInfoHash],
    [{ ...ANNOUNCE, info_hash: `${HASH.slice(1)}\u0100` }, Failure.invalidInfoHash],
    [{ ...ANNOUNCE, peer_id: undefined }, Failure.missingPeerId, { infoHash: HASH }],
    [{ ...ANNOUNCE, peer_id: 20 }, Failure.invalidPeerId],
    [{ ...ANNOUNCE, offers: 'many' }, Failure.invalidOffers],
    [{ ...ANNOUNCE, offers: [OFFER, null] }, Failure.invalidOffers],
    [{ ...ANNOUNCE, offers: [{ ...OFFER, offer_id: '' }] }, Failure.invalidOffers],
    [
      { ...ANNOUNCE, offers: [{ ...OFFER, offer: { type: 'answer', sdp: '' } }] },
      Failure.invalidOffers,
    ],
    [
      { ...ANNOUNCE, offers: [{ ...OFFER, offer: { type: 'offer', sdp: 1 } }] },
      Failure.invalidOffers,
    ],
    [{ ...ANSWER, to_peer_id: 'short' }, Failure.invalidAnswer],
    [{ ...ANSWER, offer_id: 'x'.repeat(OFFER_ID_CHARACTERS_MAX + 1) }, Failure.invalidAnswer],
    [{ ...ANSWER, answer: { type: 'offer', sdp: '' } }, Failure.invalidAnswer],
    [{ ...ANNOUNCE, offers: [offerOf('x'.repeat(1001))] }, Failure.descriptionTooLong],
    [{ ...ANNOUNCE, offers: [OFFER, offerOf('é'.repeat(501))] }, Failure.descriptionTooLong],
    [
      { ...ANSWER, answer: { type: 'answer', sdp: 'x'.repeat(1001) } },
      Failure.descriptionTooLong,
      { action: 'announce', infoHash: HASH },
    ],
    [{ action: 'scrape' }, Failure.missingInfoHash, { action: 'scrape' }],
    [{ action: 'scrape', info_hash: [] }, Failure.missingInfoHash],
    [{ action: 'scrape', info_hash: [HASH, 1] }, Failure.invalidInfoHash],
    [
      { action: 'scrape', info_hash: Array.from({ length: SCRAPE_HASHES_MAX + 1 }, () => HASH) },
      Failure.tooManyHashes,
    ],
  ]
  for (const [message, failure, more] of failures) {
    t.match(parse(message), { kind: 'failure', failure, ...more }, JSON.stringify(message))
  }
  t.match(read('{"action":'), { failure: Failure.invalidJson })
  t.same(JSON.parse(formatFailure(STANDARD_ANSWERS, Failure.invalidPeerId, 'announce', HASH)), {
    action: 'announce',
    'failure reason': 'invalid peer_id size',
    interval: 1800,
    'min interval': 1800,
    'retry in': 'never',
    info_hash: HASH,
  })
})

t.test('offers above the limit are skipped', async t => {
  const many = Array.from({ length: OFFERS_MAX + 5 }, () => OFFER)
  const message = parse({ ...ANNOUNCE, offers: many }) as AnnounceMessage
  t.equal(message.offers.length, OFFERS_MAX)
})

t.test('an answer is read, and relayed in the form that the offering client expects', async t => {
  const message = parse(ANSWER)
  if (message.kind !== 'answer') throw new Error('not an answer')
  const { to_peer_id, ...relayed } = ANSWER
  t.equal(message.toPeerId, to_peer_id)
  t.same(JSON.parse(formatAnswer(message)), relayed)
  t.same(JSON.parse(formatOffer(HASH, PEER, { offerId: OFFER.offer_id, sdp: OFFER.offer.sdp })), {
    ...ANNOUNCE,
    ...OFFER,
  })
})

t.test('a scrape of one or many becomes a record, and its reply an answer', async t => {
  t.match(parse({ action: 'scrape', info_hash: HASH }), { infoHashes: [HASH] })
  fc.assert(
    fc.property(fc.uniqueArray(hashes, { minLength: 1, maxLength: 20 }), infoHashes => {
      const message = parse({ action: 'scrape', info_hash: infoHashes }) as ScrapeMessage
      t.strictSame(message, { kind: 'scrape', infoHashes })
      const request = allocate(scrapeRecordBytes(message))
      writeScrapeRecord(message, request, 0)
      t.equal(request.view.getUint16(scrape.HASH_COUNT, true), infoHashes.length)
      const reply = allocate(scrape.SCRAPE_HEADER_BYTES + infoHashes.length * scrape.ENTRY_BYTES)
      reply.view.setUint16(scrape.HASH_COUNT, infoHashes.length, true)
      infoHashes.forEach((_, n) => {
        const entry = scrape.SCRAPE_HEADER_BYTES + n * scrape.ENTRY_BYTES
        const hash = scrape.SCRAPE_REQUEST_HEADER_BYTES + n * 20
        reply.u8.set(request.u8.subarray(hash, hash + 20), entry + scrape.ENTRY_HASH)
        reply.view.setUint32(entry + scrape.ENTRY_SEEDERS, n, true)
        reply.view.setUint32(entry + scrape.ENTRY_LEECHERS, n + 1, true)
        reply.view.setUint32(entry + scrape.ENTRY_COMPLETED, n + 2, true)
      })
      const parsed = JSON.parse(formatScrape(reply, 0, 60)) as { files: object }
      t.strictSame(parsed.files, {
        ...Object.fromEntries(
          infoHashes.map((hash, n) => [
            hash,
            { complete: n, incomplete: n + 1, downloaded: n + 2 },
          ]),
        ),
      })
    }),
    { numRuns: 50 },
  )
})

t.test('no text makes the parser throw or return unbounded data', async t => {
  const any = fc.oneof(fc.json(), fc.string(), fc.string({ unit: 'binary' }))
  const near = fc
    .record(
      {
        action: fc.oneof(fc.constantFrom('announce', 'scrape'), fc.anything()),
        info_hash: fc.oneof(hashes, fc.array(fc.oneof(hashes, fc.anything())), fc.anything()),
        peer_id: fc.oneof(hashes, fc.anything()),
        to_peer_id: fc.oneof(hashes, fc.anything()),
        offer_id: fc.anything(),
        left: fc.anything(),
        uploaded: fc.anything(),
        event: fc.anything(),
        offers: fc.oneof(fc.array(fc.anything()), fc.anything()),
        answer: fc.oneof(
          fc.record({ type: fc.constant('answer'), sdp: fc.anything() }),
          fc.anything(),
        ),
      },
      { requiredKeys: [] },
    )
    .map(value => JSON.stringify(value, (_, inner) => (typeof inner === 'bigint' ? 1 : inner)))
  fc.assert(
    fc.property(fc.oneof(any, near), text => {
      const message = read(text)
      if (message.kind === 'announce') return message.offers.length <= OFFERS_MAX
      if (message.kind === 'scrape') return message.infoHashes.length <= SCRAPE_HASHES_MAX
      return message.kind === 'answer' || message.failure !== Failure.none
    }),
    { numRuns: rounds(1000, 3000) },
  )
  const deep = `{"action":"announce","offers":${'['.repeat(60_000)}${']'.repeat(60_000)}}`
  t.match(read(deep), { failure: Failure.missingInfoHash })
  t.match(read('['.repeat(100_000)), { failure: Failure.invalidJson })
})
