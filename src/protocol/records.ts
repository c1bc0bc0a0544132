/**
 * The records that every protocol exchanges with the engine: parsers write requests, the link
 * carries them, the engine answers, formatters read replies. Each record is a table below, in order
 * of offset: offsets in bytes from the start of the record; integers little-endian; hashes, ids,
 * addresses and ports of peers as on the wire.
 */

import type { ExternalIp } from './external-ip.ts'

/** A `leave` is an announce record too: its WebSocket connection is closed. */
export const Kind = { announce: 1, scrape: 2, leave: 3 } as const
export type Kind = (typeof Kind)[keyof typeof Kind]

export const Family = { ipv4: 0, ipv6: 1, websocket: 2 } as const
export type Family = (typeof Family)[keyof typeof Family]
export const FAMILIES = [Family.ipv4, Family.ipv6, Family.websocket] as const
/** The families whose peers have an address and a port. */
export type IpFamily = typeof Family.ipv4 | typeof Family.ipv6

/** The event of an announce, numbered as in BEP 15. */
export const Event = { none: 0, completed: 1, started: 2, stopped: 3 } as const
export type Event = (typeof Event)[keyof typeof Event]

/** The bits of FLAGS. */
export const Flag = {
  /** The answer names peer ids, so the reply must carry them. */
  peerIds: 1,
  /** The client has an address of the other family too (BEP 7): give it peers of both. */
  bothFamilies: 2,
  /** The client asked for the dictionary form (BEP 3) and not the compact one (BEP 23). */
  dictionary: 4,
  /** ADDRESS is what the client claims; the announce came from SOURCE. */
  claimedAddress: 8,
  /**
   * The listener has an external address (external-ip.ts): give a public client local peers too. In
   * a reply: the client is one, and the listener has to replace the addresses of local peers.
   */
  localPeers: 16,
} as const

/** The settings for reading an announce. */
export type AnnounceRules = {
  readonly numwantDefault: number
  readonly numwantMaximum: number
  /** Accept the addresses that an announce claims: `ip`, `ipv4` and `ipv6`, and BEP 15's IP. */
  readonly usePayloadIp: boolean
  /** Addresses that public clients get in place of local ones. */
  readonly externalIp?: ExternalIp | undefined
}

/** Bytes of an info hash, a peer id and a key. */
export const HASH_BYTES = 20

/**
 * Bytes of one peer in the compact form: address, then port (BEP 23, BEP 7). A WebSocket peer has
 * its connection, its client's address (16 bytes, IPv4 mapped) and two unused bytes.
 */
export const COMPACT_BYTES = [6, 18, 26] as const
export const PEER_BYTES_MAX = Math.max(...COMPACT_BYTES)
export const PORT_BYTES = 2
/** Bytes of an IPv6 address, and of an IPv4 address mapped into one. */
export const IP_BYTES_MAX = 16

/** Every record begins with these. LENGTH counts the whole record; ID is the link's own. */
export const LENGTH = 0 //     u32
export const ID = 4 //         u32
export const KIND = 8 //       u8

/** Announce request. */
export const FAMILY = 9 //     u8
export const EVENT = 10 //     u8
export const FLAGS = 11 //     u8
export const PORT = 12 //      u16
export const NUMWANT = 14 //   u16, within the configured maximum; 0 asks for no peers
export const INFO_HASH = 16 // 20
export const PEER_ID = 36 //   20
export const ADDRESS = 56 //   16; IPv4 in the first four bytes, a connection in the first eight
export const UPLOADED = 72 //  u64, bytes
export const DOWNLOADED = 80 // u64, bytes
export const LEFT = 88 //      u64, bytes; 0 makes a seeder
export const KEY = 96 //       20, with keys or users enabled: the keys in the announce's path
export const USER_KEY = 116 // 20
/** With Flag.claimedAddress: four zero bytes and the true IPv4 address, or half of an IPv6 one. */
export const SOURCE = 136 //   8
export const ANNOUNCE_BYTES = 144
/** In place of SOURCE over WebSocket, where no address is claimed: the client's address. */
export const CLIENT_ADDRESS = 136 // 16, IPv4 mapped
export const WEBSOCKET_ANNOUNCE_BYTES = 152

/**
 * The ADDRESS of a WebSocket peer: its connection. Offsets from ADDRESS, and from a compact peer.
 */
export const CONNECTION_WORKER = 0 // u32, worker process and its node (connection.ts)
export const CONNECTION_SOCKET = 4 // u32, number of the socket in that process
export const CONNECTION_BYTES = 8
export const CONNECTION_CLIENT = 8 // 16, in compact form only: the client's address, IPv4 mapped

/**
 * Announce reply. The peers follow: all IPv4, then all IPv6; then, if requested, their ids in the
 * same order. WebSocket peers occur only in replies to WebSocket peers, which contain no others.
 */
export const FAILURE = 9 //    u8, a code of failures.ts; 0 for none
export const PEER_COUNT = [10, 12, 10] as const // u16 per family
export const REPLY_FLAGS = 14 // u8, FLAGS of the request
export const SEEDERS = 16 //   u32, of the whole swarm
export const LEECHERS = 20 //  u32
export const COMPLETED = 24 // u32, downloads since the tracker knows the torrent
export const INTERVAL = 28 //  u32, seconds, with its jitter
export const REPLY_HEADER_BYTES = 32

/** Scrape request: HASH_COUNT info hashes follow the header. */
export const HASH_COUNT = 10 // u16, in the reply too
export const SCRAPE_KEY = 16 // 20, with keys or users enabled: the keys in the scrape's path
export const SCRAPE_USER_KEY = 36 // 20
export const SCRAPE_REQUEST_HEADER_BYTES = 56

/**
 * Scrape reply: the same number of entries follows, in the order of the request; an unknown torrent
 * has zeros.
 */
export const SCRAPE_HEADER_BYTES = 16
export const ENTRY_HASH = 0 //      20, offsets from the start of the entry
export const ENTRY_SEEDERS = 20 //  u32
export const ENTRY_COMPLETED = 24 // u32
export const ENTRY_LEECHERS = 28 // u32
export const ENTRY_BYTES = 32

/** Offset and width of each field, in order, and where the record or its header ends. */
type Layout = { readonly fields: readonly (readonly [number, number])[]; readonly end: number }

const ANNOUNCE_FIELDS = [
  [LENGTH, 4],
  [ID, 4],
  [KIND, 1],
  [FAMILY, 1],
  [EVENT, 1],
  [FLAGS, 1],
  [PORT, 2],
  [NUMWANT, 2],
  [INFO_HASH, HASH_BYTES],
  [PEER_ID, HASH_BYTES],
  [ADDRESS, 16],
  [UPLOADED, 8],
  [DOWNLOADED, 8],
  [LEFT, 8],
  [KEY, HASH_BYTES],
  [USER_KEY, HASH_BYTES],
] as const

const LAYOUTS: Readonly<Record<string, Layout>> = {
  'announce request': { fields: [...ANNOUNCE_FIELDS, [SOURCE, 8]], end: ANNOUNCE_BYTES },
  'WebSocket announce request': {
    fields: [...ANNOUNCE_FIELDS, [CLIENT_ADDRESS, 16]],
    end: WEBSOCKET_ANNOUNCE_BYTES,
  },
  'announce reply': {
    fields: [
      [LENGTH, 4],
      [ID, 4],
      [KIND, 1],
      [FAILURE, 1],
      [PEER_COUNT[Family.ipv4], 2],
      [PEER_COUNT[Family.ipv6], 2],
      [REPLY_FLAGS, 1],
      [SEEDERS, 4],
      [LEECHERS, 4],
      [COMPLETED, 4],
      [INTERVAL, 4],
    ],
    end: REPLY_HEADER_BYTES,
  },
  'scrape request': {
    fields: [
      [KIND, 1],
      [HASH_COUNT, 2],
      [SCRAPE_KEY, HASH_BYTES],
      [SCRAPE_USER_KEY, HASH_BYTES],
    ],
    end: SCRAPE_REQUEST_HEADER_BYTES,
  },
  'scrape reply': {
    fields: [
      [KIND, 1],
      [FAILURE, 1],
      [HASH_COUNT, 2],
    ],
    end: SCRAPE_HEADER_BYTES,
  },
  'scrape entry': {
    fields: [
      [ENTRY_HASH, HASH_BYTES],
      [ENTRY_SEEDERS, 4],
      [ENTRY_COMPLETED, 4],
      [ENTRY_LEECHERS, 4],
    ],
    end: ENTRY_BYTES,
  },
  'compact WebSocket peer': {
    fields: [
      [CONNECTION_WORKER, 4],
      [CONNECTION_SOCKET, 4],
      [CONNECTION_CLIENT, 16],
    ],
    end: COMPACT_BYTES[Family.websocket],
  },
}

/** Throws unless the fields of every record are in order, do not overlap and are inside it. */
export function assertRecordLayouts(layouts: Readonly<Record<string, Layout>> = LAYOUTS): void {
  for (const [name, { fields, end }] of Object.entries(layouts)) {
    let free = 0
    for (const [at, width] of [...fields, [end, 0] as const]) {
      if (at < free) throw new Error(`${name}: the field at ${at} begins before ${free}`)
      free = at + width
    }
  }
}

/** Maximum bytes of a reply to an announce of this family for `numwant` peers. */
export function replyBytesMax(numwant: number, family: number): number {
  const widest = family === Family.websocket ? Family.websocket : Family.ipv6
  return REPLY_HEADER_BYTES + numwant * (COMPACT_BYTES[widest] + HASH_BYTES)
}

/** Writes SOURCE from FAMILY and ADDRESS, before a claimed address replaces these. */
export function writeSource(view: DataView, at: number): void {
  const isIpv4 = view.getUint8(at + FAMILY) === Family.ipv4
  const first = view.getInt32(at + ADDRESS)
  view.setInt32(at + SOURCE, isIpv4 ? 0 : first)
  view.setInt32(at + SOURCE + 4, isIpv4 ? first : view.getInt32(at + ADDRESS + 4))
}

/** The u64 at `at`. Exact up to 2^53. */
export function readU64(view: DataView, at: number): number {
  return view.getUint32(at, true) + view.getUint32(at + 4, true) * 0x1_0000_0000
}

/** Writes a whole number from 0 to 2^53 as u64. */
export function writeU64(view: DataView, at: number, value: number): void {
  view.setUint32(at, value >>> 0, true)
  view.setUint32(at + 4, Math.floor(value / 0x1_0000_0000), true)
}
