import { createRandom, type Random, randomBelow } from '../../src/engine/tables/random.ts'

/**
 * Realistic requests, reproducible by seed. A client is a number from which all its properties
 * follow, so no state is stored, and each of its announces is for the same torrent.
 */
export type Mix = {
  readonly torrents: number
  readonly clients: number
  /** numwant. 'mixed' uses the defaults of clients, some of which omit it. */
  readonly numwant: number | 'mixed'
  /** Share of scrapes, from 0 to 1. */
  readonly scrapes: number
  /** Whether announces have all events. Then the count of peers changes. */
  readonly events: boolean
  readonly seed: number
}

/** Exponent of Zipf's law: the first 1 % of 10,000 torrents has a third of the clients. */
const ZIPF_EXPONENT = 0.8
const SEED_SHARE = 0.67

/** Default numwant values of clients in percent of announces. -1 omits the parameter. */
const NUMWANTS: readonly [numwant: number, percent: number][] = [
  [200, 40], // libtorrent, qBittorrent, uTorrent
  [80, 25], // Transmission
  [50, 12],
  [30, 5],
  [0, 6], // those that stop, or have peers enough
  [-1, 12],
]

/** Percent of announces with an event. */
const STARTED_PERCENT = 6
const COMPLETED_PERCENT = 1
const STOPPED_PERCENT = 4

export const Event = { none: 0, completed: 1, started: 2, stopped: 3 } as const

/** Hashes a number to 0 to 1, evenly. `salt` separates the properties of a client. */
function share(client: number, salt: number): number {
  let x = Math.imul(client + 1, 0x9e3779b1) ^ Math.imul(salt + 1, 0x85ebca6b)
  x = Math.imul(x ^ (x >>> 16), 0x45d9f3b)
  return ((x ^ (x >>> 15)) >>> 0) / 2 ** 32
}

/** The rank, of `count` torrents, for a `share` from 0 to 1 by Zipf's law. */
export function zipfRank(share: number, count: number): number {
  const power = 1 - ZIPF_EXPONENT
  const rank = (1 + share * ((count + 1) ** power - 1)) ** (1 / power)
  return Math.min(count - 1, Math.floor(rank) - 1)
}

export function torrentOf(client: number, torrents: number): number {
  return zipfRank(share(client, 0), torrents)
}

export function isSeeder(client: number): boolean {
  return share(client, 1) < SEED_SHARE
}

/** numwant of this client, or -1 if it omits the parameter. */
export function numwantOf(client: number, numwant: Mix['numwant']): number {
  if (numwant !== 'mixed') return numwant
  let percent = share(client, 2) * 100
  for (const [wanted, part] of NUMWANTS) {
    percent -= part
    if (percent < 0) return wanted
  }
  return -1
}

export function randomEvent(random: Random): number {
  const percent = randomBelow(random, 1000) / 10
  if (percent < STARTED_PERCENT) return Event.started
  if (percent < STARTED_PERCENT + COMPLETED_PERCENT) return Event.completed
  return percent < STARTED_PERCENT + COMPLETED_PERCENT + STOPPED_PERCENT
    ? Event.stopped
    : Event.none
}

/** Info hash of torrent `n`. */
export function infoHashOf(n: number): Buffer {
  const hash = Buffer.alloc(20)
  for (let at = 0; at < 20; at += 4) hash.writeUInt32BE(Math.imul(n + 1, 0x9e3779b1 + at) >>> 0, at)
  return hash
}

/** Key of user `n`. */
export function userKeyOf(n: number): string {
  return infoHashOf(n).toString('hex')
}

/** Percent-encodes a byte as clients do: everything but unreserved characters. */
const ESCAPED = Array.from({ length: 256 }, (_, byte) => {
  const character = String.fromCharCode(byte)
  return /[0-9A-Za-z.~_-]/.test(character) ? character : `%${byte.toString(16).padStart(2, '0')}`
})

function escaped(bytes: Uint8Array): string {
  let text = ''
  for (const byte of bytes) text += ESCAPED[byte]
  return text
}

type Announce = {
  readonly hash: string
  readonly id: string
  readonly port: number
  readonly left: number
  readonly key: string
  readonly event: string
  readonly numwant: string
}

/** Order of the query parameters and the head of a family of clients. */
type Style = {
  readonly percent: number
  readonly peerIdPrefix: string
  readonly head: string
  query(announce: Announce): string
}

const LIBTORRENT = ({ hash, id, port, left, key, event, numwant }: Announce): string =>
  `info_hash=${hash}&peer_id=${id}&port=${port}&uploaded=${left >> 2}&downloaded=${left >> 1}&left=${left}` +
  `&corrupt=0&key=${key}${event}${numwant}&compact=1&no_peer_id=1&supportcrypto=1&redundant=0`

const STYLES: readonly Style[] = [
  {
    percent: 55,
    peerIdPrefix: '-qB4650-',
    head: 'User-Agent: qBittorrent/4.6.5\r\nAccept-Encoding: gzip\r\n',
    query: LIBTORRENT,
  },
  {
    percent: 10,
    peerIdPrefix: '-DE211s-',
    head: 'User-Agent: Deluge/2.1.1 libtorrent/2.0.9.0\r\nAccept-Encoding: gzip\r\n',
    query: announce =>
      `${LIBTORRENT(announce)}&ipv6=2001%3adb8%3a%3a${announce.key.slice(0, 4)}%3a1`,
  },
  {
    percent: 20,
    peerIdPrefix: '-TR4050-',
    head: 'User-Agent: Transmission/4.0.5\r\nAccept: */*\r\nAccept-Encoding: deflate, gzip\r\n',
    query: ({ hash, id, port, left, key, event, numwant }) =>
      `info_hash=${hash}&peer_id=${id}&port=${port}&uploaded=0&downloaded=0&left=${left}${numwant}` +
      `&key=${key}&compact=1&supportcrypto=1${event}`,
  },
  {
    percent: 15,
    peerIdPrefix: '-UT355W-',
    head: 'User-Agent: uTorrent/355(111915624)(46096)\r\nAccept-Encoding: gzip\r\n',
    query: ({ hash, id, port, left, key, event, numwant }) =>
      `info_hash=${hash}&peer_id=${id}&port=${port}&uploaded=0&downloaded=0&left=${left}&corrupt=0` +
      `&key=${key}${event}${numwant}&compact=1&no_peer_id=1`,
  },
]

function styleOf(client: number): Style {
  let percent = share(client, 3) * 100
  for (const style of STYLES) {
    percent -= style.percent
    if (percent < 0) return style
  }
  return STYLES[0] as Style
}

/** An HTTP request and its source. A client always has the same source. */
export type HttpRequestText = { readonly source: number; readonly bytes: Buffer }

export type HttpShape = {
  readonly host: string
  readonly keepAlive: boolean
  /** Source addresses, or persistent connections, for all clients. */
  readonly sources: number
  /** The number of the first client. */
  readonly firstClient?: number
}

/** Returns `count` complete requests in the order to send them. */
export function httpRequests(mix: Mix, shape: HttpShape, count: number): HttpRequestText[] {
  const random = createRandom(mix.seed)
  return Array.from({ length: count }, () => {
    const client = (shape.firstClient ?? 0) + randomBelow(random, mix.clients)
    const style = styleOf(client)
    const isScrape = randomBelow(random, 1000) < mix.scrapes * 1000
    const target = isScrape
      ? `/scrape?info_hash=${escaped(infoHashOf(torrentOf(client, mix.torrents)))}`
      : `/announce?${style.query(announceOf(client, style, mix, mix.events ? randomEvent(random) : Event.none))}`
    const connection = shape.keepAlive ? '' : 'Connection: close\r\n'
    const text = `GET ${target} HTTP/1.1\r\nHost: ${shape.host}\r\n${style.head}${connection}\r\n`
    return { source: client % shape.sources, bytes: Buffer.from(text) }
  })
}

function announceOf(client: number, style: Style, mix: Mix, event: number): Announce {
  const peerId = Buffer.from(style.peerIdPrefix.padEnd(20, 'x'))
  peerId.writeUInt32BE(Math.imul(client, 0xc2b2ae35) >>> 0, 12)
  peerId.writeUInt32BE(client, 16)
  const numwant = event === Event.stopped ? 0 : numwantOf(client, mix.numwant)
  return {
    hash: escaped(infoHashOf(torrentOf(client, mix.torrents))),
    id: escaped(peerId),
    port: 1024 + (client % 60_000),
    left: isSeeder(client) ? 0 : 1_000_000,
    key: (Math.imul(client, 0x27d4eb2f) >>> 0).toString(16).toUpperCase().padStart(8, '0'),
    event: ['', '&event=completed', '&event=started', '&event=stopped'][event] ?? '',
    numwant: numwant === -1 ? '' : `&numwant=${numwant}`,
  }
}
