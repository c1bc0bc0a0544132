import { allocate } from '../../src/protocol/bytes.ts'
import { parseAnnounce, parseScrape } from '../../src/protocol/http/request.ts'
import {
  announceAnswerBytesMax,
  formatAnnounce,
  formatScrape,
} from '../../src/protocol/http/response.ts'
import { SCRAPE_HASHES_MAX } from '../../src/protocol/limits.ts'
import * as record from '../../src/protocol/records.ts'
import * as scrape from '../../src/protocol/records.ts'
import { nanosEach } from '../measure.ts'
import { bySize, createRows, type Run, type Scenario } from '../scenario.ts'

const RULES = { numwantDefault: 72, numwantMaximum: 72, usePayloadIp: false }
const PEERS = 50

/** Requests with different hashes, ids and numbers, as flat one-byte strings from the parser. */
const QBITTORRENT = queries(
  (hash, n) =>
    `info_hash=${hash}&peer_id=-qB4650-${String(n).padStart(4, 'x')}hc!~Q*eN&port=${6881 + n}` +
    `&uploaded=${n * 7_654_321}&downloaded=${n * 1_234_567}&left=${n * 3_333}&corrupt=0&key=A1B2C3D4` +
    '&event=started&numwant=200&compact=1&no_peer_id=1&supportcrypto=1&redundant=0',
)
const TRANSMISSION = queries(
  (hash, n) =>
    `info_hash=${hash}&peer_id=-TR4050-${String(n).padStart(12, 'k')}&port=51413&uploaded=0&downloaded=0` +
    `&left=${n * 16_384}&numwant=80&key=5F2A91C0&compact=1&supportcrypto=1&event=started` +
    '&ipv6=2001%3Adb8%3A%3Aabcd%3A1',
)
const SCRAPES = queries(hash => `info_hash=${hash}`)

function queries(write: (hash: string, n: number) => string): string[] {
  return Array.from({ length: 64 }, (_, n) => {
    let hash = ''
    for (let byte = 0; byte < record.HASH_BYTES; byte++) {
      const code = (Math.imul(n * 20 + byte + 1, 0x9e3779b1) >>> 24) & 0xff
      const text = String.fromCharCode(code)
      hash += /[a-z0-9]/i.test(text) ? text : `%${code.toString(16).padStart(2, '0')}`
    }
    return Buffer.from(write(hash, n), 'latin1').toString('latin1')
  })
}

/** A reply of 50 peers of a family, with peer ids for the dictionary form. */
function announceReply(family: record.Family, flags: number) {
  const reply = allocate(record.replyBytesMax(PEERS, family))
  reply.view.setUint32(record.SEEDERS, 1234, true)
  reply.view.setUint32(record.LEECHERS, 567, true)
  reply.view.setUint32(record.COMPLETED, 89_012, true)
  reply.view.setUint32(record.INTERVAL, 1834, true)
  reply.view.setUint16(record.PEER_COUNT[family], PEERS, true)
  reply.u8[record.REPLY_FLAGS] = flags
  for (let n = record.REPLY_HEADER_BYTES; n < reply.u8.length; n++) {
    reply.u8[n] = Math.imul(n, 0x9e3779b1) >>> 24
  }
  return reply
}

function announceCase(name: string, texts: readonly string[]) {
  const into = allocate(record.ANNOUNCE_BYTES)
  return {
    name,
    operation: (n: number) => {
      const code = parseAnnounce(texts[n & 63] as string, into, 0, RULES)
      return code + (into.u8[record.INFO_HASH] as number) + (into.u8[record.LEFT] as number)
    },
  }
}

function answerCase(name: string, family: record.Family, flags: number) {
  const reply = announceReply(family, flags)
  const out = new Uint8Array(announceAnswerBytesMax(reply, 0))
  const externalIp = new Uint8Array(family === record.Family.ipv4 ? 4 : 16).fill(9)
  return {
    name,
    operation: (n: number) => {
      const bytes = formatAnnounce(reply, 0, externalIp, 1800, out)
      return bytes + (out[n % bytes] as number)
    },
  }
}

function scrapeCase() {
  const into = allocate(scrape.SCRAPE_REQUEST_HEADER_BYTES + SCRAPE_HASHES_MAX * record.HASH_BYTES)
  return {
    name: 'parseScrape, 1 hash',
    operation: (n: number) =>
      parseScrape(SCRAPES[n & 63] as string, into, 0) +
      (into.u8[scrape.SCRAPE_REQUEST_HEADER_BYTES] as number),
  }
}

function scrapeAnswerCase() {
  const reply = allocate(scrape.SCRAPE_HEADER_BYTES + scrape.ENTRY_BYTES)
  reply.view.setUint16(scrape.HASH_COUNT, 1, true)
  const out = new Uint8Array(512)
  return {
    name: 'formatScrape, 1 hash',
    operation: (n: number) => {
      const bytes = formatScrape(reply, 0, 1800, out)
      return bytes + (out[n % bytes] as number)
    },
  }
}

type Case = { readonly name: string; readonly operation: (n: number) => number }

function repeat(operation: Case['operation'], count: number): number {
  let sum = 0
  for (let n = 0; n < count; n++) sum = (sum + operation(n)) | 0
  return sum
}

/** Rounds with a garbage collection are dropped: they do not show the allocation. */
function measure({ operation }: Case, count: number): Run {
  let sum = 0
  const nanos = nanosEach(count, () => {
    sum = repeat(operation, count)
  })
  const few = Math.min(count, 200)
  const heap = process.memoryUsage().heapUsed
  sum = (sum + repeat(operation, few)) | 0
  const grown = process.memoryUsage().heapUsed - heap
  return {
    nanosEach: nanos,
    ...(grown >= 0 && Number.isInteger(sum) && { bytesAllocated: grown / few }),
  }
}

export const parse: Scenario = {
  name: 'parse',
  about: 'reading HTTP queries and writing answers, one thread',
  secondsMax: 60,
  async run(plan) {
    const { peerIds, dictionary } = record.Flag
    const cases: Case[] = [
      announceCase('parseAnnounce, as qBittorrent', QBITTORRENT),
      announceCase('parseAnnounce, as Transmission', TRANSMISSION),
      scrapeCase(),
      answerCase('formatAnnounce, 50 IPv4 peers', record.Family.ipv4, 0),
      answerCase('formatAnnounce, 50 IPv6 peers', record.Family.ipv6, 0),
      answerCase('formatAnnounce, 50 IPv4, dictionaries', record.Family.ipv4, dictionary),
      answerCase('formatAnnounce, 50 IPv6, with ids', record.Family.ipv6, dictionary | peerIds),
      scrapeAnswerCase(),
    ]
    const count = bySize(plan, 200_000, 100_000, 1000)
    const rows = createRows()
    for (const { operation } of cases) repeat(operation, count)
    for (let round = 0; round < plan.runs; round++) {
      for (const one of cases) rows.add(one.name, measure(one, count))
    }
    return { title: 'The HTTP codec alone', options: { count }, rows: rows.rows, notes: [] }
  },
}
