import { type Bytes, bytesOf } from '../protocol/bytes.ts'
import { unmapped } from '../protocol/ip.ts'
import {
  COMPACT_BYTES,
  CONNECTION_CLIENT,
  FAMILIES,
  Family,
  HASH_BYTES,
  IP_BYTES_MAX,
  PORT_BYTES,
} from '../protocol/records.ts'
import type { Engine } from './engine.ts'
import { inStripe } from './inspect.ts'
import type { Arena } from './tables/arena.ts'
import { copyWords } from './tables/copy-words.ts'
import {
  DETAIL_BYTES,
  DETAIL_DOWNLOADED,
  DETAIL_LEFT,
  DETAIL_PEER_ID,
  DETAIL_SEEN,
  DETAIL_UPLOADED,
} from './tables/layout.ts'
import {
  compactAt,
  detailAt,
  listOf,
  peerCount,
  seederCount,
  torrentPeers,
} from './tables/peer-list.ts'
import { type ListRef, NO_TORRENT, type Slot, type TorrentRef } from './tables/references.ts'

/** Reads peers of a torrent for the admin module. Each call holds a stripe for a bounded time. */

export type PeerRecord = {
  readonly id: Buffer
  /** 4 or 16 bytes. A WebSocket peer has the address of its client, and port 0. */
  readonly address: Buffer
  readonly port: number
  readonly uploaded: number
  readonly downloaded: number
  readonly left: number
  /** Unix seconds. */
  readonly seen: number
}

/** Order in which a torrent's peers are read: the seeders of all families, then the leechers. */
const PHASES = [
  [Family.ipv4, true],
  [Family.ipv6, true],
  [Family.websocket, true],
  [Family.ipv4, false],
  [Family.ipv6, false],
  [Family.websocket, false],
] as const
const PHASE_SLOTS = 2 ** 32

/** Peers copied while a stripe's lock is held: some ten microseconds. */
const COPIED_MAX = 128

/** A peer as it is copied: compact bytes, padded, and details. */
const COPY_DETAIL = 32
const COPY_BYTES = COPY_DETAIL + DETAIL_BYTES

/** Peers that were copied, and the cursor of the next one. */
type CopiedPeers = {
  readonly bytes: Bytes
  readonly families: Family[]
  next: number
}

/**
 * Reads at most `count` peers of a torrent from `cursor` on; the first cursor is 0. Also returns
 * the next cursor, -1 at the end.
 */
export function readPeers(
  engine: Engine,
  hash: Uint8Array,
  cursor: number,
  count: number,
): { peers: PeerRecord[]; next: number } {
  const bytes = bytesOf(new Uint8Array(COPIED_MAX * COPY_BYTES))
  const peers: PeerRecord[] = []
  let next = cursor
  while (next !== -1 && peers.length < count) {
    const copied: CopiedPeers = { bytes, families: [], next }
    const most = Math.min(COPIED_MAX, count - peers.length)
    inStripe(engine, bytesOf(hash), ({ arena }, torrent) => {
      copyPeers(arena, torrent, copied, most)
    })
    copied.families.forEach((family, n) => {
      const compact = n * COPY_BYTES
      peers.push(peerIn(bytes, family, compact, compact + COPY_DETAIL))
    })
    next = copied.next
  }
  return { peers, next }
}

/** Copies at most `most` peers of a torrent from the cursor `copied.next` on, and advances it. */
function copyPeers(arena: Arena, torrent: TorrentRef, copied: CopiedPeers, most: number): void {
  const { bytes, families } = copied
  for (;;) {
    const phase = Math.floor(copied.next / PHASE_SLOTS)
    const [family, seeders] = PHASES[phase] ?? []
    if (family === undefined || torrent === NO_TORRENT) {
      copied.next = -1
      return
    }
    const list = listOf(arena, torrent, family)
    const first = seeders ? 0 : seederCount(arena, list)
    const end = seeders ? seederCount(arena, list) : peerCount(arena, list)
    const slot = first + (copied.next % PHASE_SLOTS)
    if (slot >= end) copied.next = (phase + 1) * PHASE_SLOTS
    else if (families.length === most) return
    else {
      const to = families.length * COPY_BYTES
      const compact = compactAt(arena, list, family, slot as Slot)
      const detail = detailAt(arena, list, family, slot as Slot)
      copyWords(bytes.view, to, arena.view, compact, COMPACT_BYTES[family])
      copyWords(bytes.view, to + COPY_DETAIL, arena.view, detail, DETAIL_BYTES)
      families.push(family)
      copied.next++
    }
  }
}

/** Ids of `count` peers of a torrent, spread evenly over seeders, leechers and all families. */
export function samplePeerIds(engine: Engine, hash: Uint8Array, count: number): Buffer[] {
  return inStripe(engine, bytesOf(hash), ({ arena }, torrent) => {
    const ids: Buffer[] = []
    if (torrent === NO_TORRENT) return ids
    const peers = torrentPeers(arena, torrent)
    const step = Math.max(1, peers / count)
    let before = 0
    for (const family of FAMILIES) {
      const list = listOf(arena, torrent, family)
      const end = before + peerCount(arena, list)
      for (let at = ids.length * step; at < end; at = ids.length * step) {
        const slot = (Math.floor(at) - before) as Slot
        const id = detailAt(arena, list, family, slot) + DETAIL_PEER_ID
        ids.push(Buffer.from(arena.u8.slice(id, id + HASH_BYTES)))
      }
      before = end
    }
    return ids
  })
}

/** The peer in a slot of a held stripe. */
export function readPeer(arena: Arena, list: ListRef, family: Family, slot: Slot): PeerRecord {
  const compact = compactAt(arena, list, family, slot)
  return peerIn(arena, family, compact, detailAt(arena, list, family, slot))
}

/** The peer whose compact bytes and details are at these offsets. */
function peerIn(
  { u8 }: Pick<Bytes, 'u8'>,
  family: Family,
  compact: number,
  detail: number,
): PeerRecord {
  const width = COMPACT_BYTES[family]
  const copy = (at: number, bytes: number) => Buffer.from(u8.slice(at, at + bytes))
  return {
    id: copy(detail + DETAIL_PEER_ID, HASH_BYTES),
    address:
      family === Family.websocket
        ? unmapped(copy(compact + CONNECTION_CLIENT, IP_BYTES_MAX))
        : copy(compact, width - PORT_BYTES),
    port: copy(compact + width - PORT_BYTES, PORT_BYTES).readUInt16BE(),
    uploaded: copy(detail + DETAIL_UPLOADED, 6).readUIntLE(0, 6),
    downloaded: copy(detail + DETAIL_DOWNLOADED, 6).readUIntLE(0, 6),
    left: copy(detail + DETAIL_LEFT, 6).readUIntLE(0, 6),
    seen: copy(detail + DETAIL_SEEN, 4).readUInt32LE(),
  }
}
