/**
 * The announce as every protocol hands it to the engine, and the engine's reply. Parsers write requests,
 * the link carries them, the engine answers, formatters read replies.
 * Offsets in bytes from the start of a record; integers little-endian; hashes, ids and addresses as on the wire.
 */

/** Every record on the link begins with these three. LENGTH counts the whole record; ID is the link's own. */
export const LENGTH = 0 // u32
export const ID = 4 // u32
export const KIND = 8 // u8

/** `leave` is an announce record too: the frontend says that the connection of a WebSocket peer is gone. */
export const Kind = { announce: 1, scrape: 2, leave: 3 } as const
export type Kind = (typeof Kind)[keyof typeof Kind]

export const Family = { ipv4: 0, ipv6: 1, websocket: 2 } as const
export type Family = (typeof Family)[keyof typeof Family]
/** The families whose peers have an address and a port. */
export type IpFamily = typeof Family.ipv4 | typeof Family.ipv6

/** Bytes of one peer in the compact form: address, then port (BEP 23, BEP 7); of a WebSocket peer see CONNECTION_*. */
export const COMPACT_BYTES = [6, 18, 26] as const

/** What a WebSocket peer has for an address: its connection. */
export const CONNECTION_WORKER = 0 // u32, number of the worker process, a new one for each that starts
export const CONNECTION_SOCKET = 4 // u32, number of the socket in it
export const CONNECTION_BYTES = 8
/** In its compact form the client's address follows, 16 bytes with IPv4 mapped, and two bytes where others have a port. */
export const CONNECTION_CLIENT = 8
export const HASH_BYTES = 20

export const FAMILY = 9 // u8
export const EVENT = 10 // u8
export const FLAGS = 11 // u8
export const PORT = 12 // u16
export const NUMWANT = 14 // u16, already bounded: 0 asks for no peers
export const INFO_HASH = 16 // 20
export const PEER_ID = 36 // 20
export const ADDRESS = 56 // 16; IPv4 in the first four, a connection in the first eight
export const UPLOADED = 72 // u64, bytes
export const DOWNLOADED = 80 // u64, bytes
export const LEFT = 88 // u64, bytes; 0 makes a seeder
/** Behind it, where keys or users are on: what the announce's path names. */
export const KEY = 96 // 20
export const USER_KEY = 116 // 20
/** With Flag.claimedAddress: the IPv4 address that it came from, behind four zero bytes, or the first half of the IPv6 address. */
export const SOURCE = 136 // 8
export const ANNOUNCE_BYTES = 144
/** In its place over WebSocket, where nothing is claimed: the client's address, to be shown to who administers the tracker. */
export const CLIENT_ADDRESS = 136 // 16, IPv4 mapped
export const WEBSOCKET_ANNOUNCE_BYTES = 152

export const Flag = {
  /** The answer names peer ids, so the reply must carry them. */
  peerIds: 1,
  /** The client said that it also has an address of the other family (BEP 7): give it peers of both. */
  bothFamilies: 2,
  /** The client asked for the dictionary form (BEP 3) and not the compact one. */
  dictionary: 4,
  /** ADDRESS is what the client claims; it came from SOURCE. */
  claimedAddress: 8,
} as const

/**
 * Reply to an announce. The peers follow the header: all IPv4, then all IPv6, then, if asked for, their ids in the same order. WebSocket peers
 * are told to their like alone, and those of other families never.
 */
export const FAILURE = 9 // u8, a code of failures.ts; 0 when there is none
export const PEER_COUNT = [10, 12, 10] as const // u16 per family
export const REPLY_FLAGS = 14 // u8, FLAGS of the request; with Flag.peerIds, ids follow
export const SEEDERS = 16 // u32, of the whole swarm
export const LEECHERS = 20 // u32
export const COMPLETED = 24 // u32, downloads since the tracker knows the torrent
export const INTERVAL = 28 // u32, seconds, already jittered
export const REPLY_HEADER_BYTES = 32

/** The most bytes a reply to an announce from this family for `numwant` peers can take. */
export function replyBytesMax(numwant: number, family: number): number {
  const widest = family === Family.websocket ? Family.websocket : Family.ipv6
  return REPLY_HEADER_BYTES + numwant * (COMPACT_BYTES[widest] + HASH_BYTES)
}

/** Notes FAMILY and ADDRESS as SOURCE, before a claim replaces them. */
export function writeSource(view: DataView, at: number): void {
  const isIpv4 = view.getUint8(at + FAMILY) === Family.ipv4
  const first = view.getInt32(at + ADDRESS)
  view.setInt32(at + SOURCE, isIpv4 ? 0 : first)
  view.setInt32(at + SOURCE + 4, isIpv4 ? first : view.getInt32(at + ADDRESS + 4))
}

/** u64 at `at` as a number; past 2^53 it is only nearly right, which no counter of bytes will notice. */
export function readU64(view: DataView, at: number): number {
  return view.getUint32(at, true) + view.getUint32(at + 4, true) * 0x1_0000_0000
}

/** Writes a whole number from 0 to 2^53 as u64. */
export function writeU64(view: DataView, at: number, value: number): void {
  view.setUint32(at, value >>> 0, true)
  view.setUint32(at + 4, Math.floor(value / 0x1_0000_0000), true)
}
