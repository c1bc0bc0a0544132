import {
  COMPACT_BYTES,
  CONNECTION_BYTES,
  FAMILIES,
  Family,
  HASH_BYTES,
  PORT_BYTES,
} from '../../protocol/records.ts'
import type { ListRef } from './references.ts'

/**
 * Every offset and size of the shared memory. Offsets in bytes; integers in the machine's order
 * (little-endian on every platform that the UDP and uWebSockets.js binaries exist for). A reference
 * is the byte offset of a block in its arena, a multiple of 4; 0 stands for no block.
 * assert-layouts.ts checks what must agree.
 */

/** Maximum size of an arena: every byte offset is then a small integer to V8. */
export const ARENA_BYTES_MAX = 2 ** 31

/** Head of an arena. */
export const ARENA_FREE = 0 // u32, offset of the first byte not allocated to a stripe; Atomics only
export const ARENA_TORRENTS = 4 // u32, torrents of all its stripes; Atomics only
/** LIST_BYTES of zeros: the list of WebSocket peers of every torrent that does not have any. */
export const EMPTY_LIST = 48 as ListRef
export const ARENA_HEAD_BYTES = 64

/** Blocks of memory inside a stripe, blocks.ts. A reference points behind the block's head. */
export const BLOCK_HEAD_BYTES = 4
export const BLOCK_PAYLOAD_MIN = 12
/** Size classes of free blocks, up to a whole arena. */
export const CLASS_COUNT = 224

/**
 * Head of a stripe. Everything but the lock word is changed under the lock only. Threads without
 * the lock may read the counts, which are slightly stale then.
 */
export const STRIPE_LOCK = 0 // i32, see lock.ts
export const STRIPE_TAKEN = 4 // u32, bytes taken from the arena so far
export const STRIPE_USED = 8 // u32, bytes of those in used blocks
export const STRIPE_CHUNK_END = 12 // u32, end of the chunk taken last
export const STRIPE_INDEX = 16 // ref, torrent index: u32 entries, then a u16 for each
export const STRIPE_INDEX_SIZE = 20 // u32, entries, a power of two
export const STRIPE_TORRENTS = 24 // u32
export const STRIPE_PEERS = 28 // u32 per family
export const STRIPE_SEEDERS = STRIPE_PEERS + FAMILIES.length * 4 // u32 per family
export const STRIPE_COMPLETED = 52 // u32, wraps
export const STRIPE_EXPIRED = 56 // u32, wraps
export const STRIPE_CHUNKS = 60 // u32, chunks taken that do not continue the one before
export const STRIPE_CLASS_MAP = 64 // a bit per size class, set when its list is not empty
/** u32: StripeFlag, what the database is concerned with. */
export const STRIPE_CHANGED = 92
export const STRIPE_FREE = 96 // u32 per size class, the first free block
export const STRIPE_EVICTED = 992 // u32, wraps
export const STRIPE_REFUSED = 996 // u32, wraps: peers that did not fit even after eviction
export const STRIPE_USED_CLASSES = 1000 // u32 per class of USED_CLASS_BYTES, bytes in used blocks
export const STRIPE_HEAD_BYTES = 1024

/** Upper bounds, in bytes, of the block classes that memory use is reported by. */
export const USED_CLASS_BYTES = [64, 256, 1024, 4096, 16384, Number.POSITIVE_INFINITY] as const

/** A torrent. */
export const TORRENT_HASH = 0 // 20
export const TORRENT_COMPLETED = TORRENT_HASH + HASH_BYTES // u32, at most COMPLETED_MAX
export const COMPLETED_MAX = 0xffff_ffff
export const TORRENT_ACTIVE = 24 // u32, Unix seconds of the last announce
/**
 * u32. TorrentFlag in the two lowest bits; above them the reference of the torrent's list of
 * WebSocket peers, which is a block of its own: most torrents do not have any.
 */
export const TORRENT_FLAGS = 28
export const TORRENT_FLAG_BITS = 3
export const TORRENT_LISTS = 32 // the peer lists of IPv4 and IPv6
/** u32, Unix seconds: every peer of the torrent has announced since. 0 is not known. */
export const TORRENT_OLDEST = 64
/** u32. The part of TORRENT_COMPLETED that the database has, or that other nodes write to it. */
export const TORRENT_WRITTEN = 68
export const TORRENT_BYTES = 72

export const TorrentFlag = {
  /**
   * The torrent stays without peers: an operator added it, or the database stores its completed
   * count.
   */
  kept: 1,
  /** The torrent's counts changed since they were last written to the database. */
  changed: 2,
} as const

/** Bits of STRIPE_CHANGED. */
export const StripeFlag = {
  /** A torrent of the stripe has TorrentFlag.changed. */
  changed: 1,
  /** A torrent that the database has was removed from memory. */
  forgotten: 2,
} as const

/** A peer list: seeders first, leechers after. */
export const LIST_BLOCK = 0 // ref: the block of a small list, the directory of a large one; 0 when empty
export const LIST_COUNT = 4 // u32, peers
export const LIST_SEEDERS = 8 // u32
/**
 * Capacity in peers of a small list. Values from INDEX_REF_MIN up are the reference of a large
 * list's index.
 */
export const LIST_CAPACITY = 12
export const LIST_BYTES = 16

/** Lists with a capacity of up to so many peers are scanned; the blocks of others have tags. */
export const SCAN_PEERS_MAX = 16
/** A small list is one block, a large one a directory of segments of this many peers. */
export const SEGMENT_PEERS = 512
/**
 * A large list that shrinks to this number of peers becomes small again. It is well below
 * SEGMENT_PEERS, so that a list near the bound does not flap.
 */
export const SMALL_AGAIN_PEERS = 256
export const INDEX_REF_MIN = 4096

/**
 * A block or segment of capacity C holds, unless C is at most SCAN_PEERS_MAX, C tags
 * (peer-tags.ts), padded to whole words; then C compact peers of COMPACT_BYTES (records.ts), then C
 * details. The first PEER_ADDRESS compact bytes are, with the peer id, the identity of a peer.
 */
export const PEER_ADDRESS = [
  COMPACT_BYTES[Family.ipv4] - PORT_BYTES,
  COMPACT_BYTES[Family.ipv6] - PORT_BYTES,
  CONNECTION_BYTES,
] as const
export const DETAIL_PEER_ID = 0 // 20
export const DETAIL_UPLOADED = DETAIL_PEER_ID + HASH_BYTES // u48
export const DETAIL_DOWNLOADED = 26 // u48
export const DETAIL_LEFT = 32 // u48
export const DETAIL_SEEN = 38 // u32, Unix seconds, two-byte aligned
export const DETAIL_USER = 42 // u32, two-byte aligned: the peer's user number or 0; and COMPLETION_COUNTED
/**
 * Bit of DETAIL_USER, set once the seeder's `completed` was counted: a retry must not count again.
 */
export const COMPLETION_COUNTED = 0x8000_0000
/** Bit of DETAIL_USER, set on a leecher whose `completed` a limit refused: it counts later. */
export const COMPLETION_OWED = 0x4000_0000
/** Bit of DETAIL_USER, set once the peer has announced again. */
export const PEER_RETURNED = 0x2000_0000
/**
 * Bit of DETAIL_USER, set where the lower bits are a lease (lease.ts). Peers have leases only where
 * several nodes serve the swarm and no users are credited.
 */
export const PEER_LEASED = 0x1000_0000
/** The user's number in DETAIL_USER, unless it has PEER_LEASED. */
export const USER_NUMBER_BITS = 0x0fff_ffff
/** Bits of a lease: announces since the last one that was sent to the other nodes. */
export const LEASE_COUNT_BITS = 3
/** The generation of leases in which this node received the peer's last announce. */
export const LEASE_GENERATION_SHIFT = 2
export const LEASE_GENERATIONS = 2 ** 14
/** The number of the node that received the peer's last announce; 0 for this one. */
export const LEASE_NODE_SHIFT = 16
export const LEASE_NODES = 2 ** 12
export const DETAIL_BYTES = 46

/** Directory of a large list, and of its peer index: capacity and use, then references. */
export const DIRECTORY_ROOM = 0 // u32, references that fit
export const DIRECTORY_USED = 4 // u32
export const DIRECTORY_REFS = 8 // u32 each

/**
 * Peer index: linear hashing over tables. A table has INDEX_SMALL_ENTRIES or twice as many, which
 * the lowest bit of its reference says. An entry is the keyed hash and slot + 1, both u32. The u32
 * behind the entries counts them.
 */
export const INDEX_SMALL_ENTRIES = 256
export const INDEX_ENTRY_BYTES = 8
/** Entries of a small table above which it is replaced by one of twice the size. */
export const INDEX_SMALL_FULL = 192
/**
 * Average number of peers per table above which a table is split. A table that is not split yet
 * holds up to twice as many, and is then 70 % full.
 */
export const INDEX_SPLIT_AT = 180
export const INDEX_MERGE_AT = 72
