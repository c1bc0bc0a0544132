/**
 * Every offset and size of the shared memory. Offsets in bytes; integers in the machine's order (little-endian on
 * every platform that the UDP and uWebSockets.js binaries exist for); a reference is the byte offset of a block in its arena,
 * 0 for none, and a multiple of 4.
 */

/** An arena is at most this long, so that every byte offset is a small integer to V8. */
export const ARENA_BYTES_MAX = 2 ** 31

/** Head of an arena. */
export const ARENA_FREE = 0 // u32, offset of the first byte that no stripe has taken; Atomics only
export const ARENA_TORRENTS = 4 // u32, torrents of all its stripes; Atomics only
export const EMPTY_LIST = 48 // LIST_BYTES of zeros, for every torrent that has not a list of its own
export const ARENA_HEAD_BYTES = 64

/** Blocks of memory inside a stripe, blocks.ts. References are to the first byte behind a block's head. */
export const BLOCK_HEAD_BYTES = 4
export const BLOCK_PAYLOAD_MIN = 12
/** Size classes of free blocks, up to a whole arena. */
export const CLASS_COUNT = 224

/** Head of a stripe. Everything but the lock word is touched under the lock only; others may read the counts, a little stale. */
export const STRIPE_LOCK = 0 // i32, see lock.ts
export const STRIPE_TAKEN = 4 // u32, bytes taken from the arena so far
export const STRIPE_USED = 8 // u32, bytes of those in used blocks
export const STRIPE_CHUNK_END = 12 // u32, end of the chunk taken last
export const STRIPE_INDEX = 16 // ref, torrent index: u32 entries
export const STRIPE_INDEX_SIZE = 20 // u32, entries, a power of two
export const STRIPE_TORRENTS = 24 // u32
export const STRIPE_PEERS = 28 // u32 per family
export const STRIPE_SEEDERS = 40 // u32 per family
export const STRIPE_COMPLETED = 52 // u32, wraps
export const STRIPE_EXPIRED = 56 // u32, wraps
export const STRIPE_CHUNKS = 60 // u32, chunks taken that do not continue the one before
export const STRIPE_CLASS_MAP = 64 // a bit per size class, set when its list is not empty
export const STRIPE_CHANGED = 92 // u32, 1 when a torrent of it has TorrentFlag.changed
export const STRIPE_FREE = 96 // u32 per size class, the first free block
export const STRIPE_EVICTED = 992 // u32, wraps
export const STRIPE_REFUSED = 996 // u32, wraps: peers that found no room even after eviction
export const STRIPE_USED_CLASSES = 1000 // u32 per class of USED_CLASS_BYTES, bytes in used blocks
export const STRIPE_HEAD_BYTES = 1024

/** Most bytes of the blocks of each class that the use of memory is told by; the last one has no end. */
export const USED_CLASS_BYTES = [64, 256, 1024, 4096, 16384, Number.POSITIVE_INFINITY] as const

/** A torrent. */
export const TORRENT_HASH = 0 // 20
export const TORRENT_COMPLETED = 20 // u32
export const TORRENT_ACTIVE = 24 // u32, Unix seconds of the last announce
/**
 * u32. TorrentFlag in the two lowest bits; above them the reference of its list of WebSocket peers, a block of its own while there are
 * any: most torrents have none, and pay nothing for it.
 */
export const TORRENT_FLAGS = 28
export const TORRENT_FLAG_BITS = 3
export const TORRENT_LISTS = 32 // the peer lists of IPv4 and IPv6
export const TORRENT_BYTES = 64

export const TorrentFlag = {
  /** It stays without peers: the operator entered it, or its count of downloads is kept. */
  kept: 1,
  /** Its counts changed since they were last taken note of. */
  changed: 2,
} as const

/** A peer list: seeders first, leechers after. */
export const LIST_BLOCK = 0 // ref: the block of a small list, the directory of a large one; 0 when empty
export const LIST_COUNT = 4 // u32, peers
export const LIST_SEEDERS = 8 // u32
/** Peers that the block of a small list has room for; or, from INDEX_REF_MIN up, the reference of a large list's peer index. */
export const LIST_CAPACITY = 12
export const LIST_BYTES = 16

/** A small list is one block; a large one is a directory of segments of this many peers, so that growing never copies more. */
export const SEGMENT_PEERS = 512
/** A large list that shrinks to this becomes small again; far enough below SEGMENT_PEERS not to flap. */
export const SMALL_AGAIN_PEERS = 256
export const INDEX_REF_MIN = 4096

/** In a block or segment of capacity C: C compact peers of the family's width, then C details. */
export const PEER_WIDTH = [6, 18, 26] as const // address, port: BEP 23, BEP 7; connection, client's address, two spare bytes
/** Of those the first, by which peers of one id are told apart. */
export const PEER_ADDRESS = [4, 16, 8] as const
export const FAMILY_COUNT = 3
/** The family whose lists torrents make when they need one. */
export const WEBSOCKET_FAMILY = 2
export const DETAIL_PEER_ID = 0 // 20
export const DETAIL_UPLOADED = 20 // u48
export const DETAIL_DOWNLOADED = 26 // u48
export const DETAIL_LEFT = 32 // u48
export const DETAIL_SEEN = 38 // u32, Unix seconds, two-byte aligned
export const DETAIL_USER = 42 // u32, number of the user who announced it, two-byte aligned; 0 for nobody; and COMPLETION_COUNTED
/** The bit of DETAIL_USER that a seeder has once its `completed` was counted: a retry must not count again. */
export const COMPLETION_COUNTED = 0x8000_0000
export const DETAIL_BYTES = 46

/** Directory of a large list, and of its peer index: room and use, then references. */
export const DIRECTORY_ROOM = 0 // u32, references
export const DIRECTORY_USED = 4 // u32
export const DIRECTORY_REFS = 8 // u32 each

/** Peer index: linear hashing over tables of this many entries of keyed hash and slot + 1, both u32. */
export const INDEX_TABLE_ENTRIES = 1024
export const INDEX_ENTRY_BYTES = 8
/** Peers per table on average that make it split. A table not yet split holds up to twice that: 70 % full. */
export const INDEX_SPLIT_AT = 360
export const INDEX_MERGE_AT = 120
