import { strict as assert } from 'node:assert'
import { NODE_NUMBERS } from '../protocol/connection.ts'
import {
  assertRecordLayouts,
  COMPACT_BYTES,
  CONNECTION_BYTES,
  CONNECTION_CLIENT,
  FAMILIES,
  HASH_BYTES,
  IP_BYTES_MAX,
  PORT_BYTES,
} from '../protocol/records.ts'
import * as session from './session-layout.ts'
import * as layout from './tables/layout.ts'

/** Name, offset and bytes of each field of a record, in order of offset. */
type Fields = readonly (readonly [name: string, offset: number, bytes: number])[]

/** Checks that fields are in order, do not overlap, fit, and are aligned to `alignment`. */
function assertFields(record: string, fields: Fields, size: number, alignment: number): void {
  const offsets = fields.map(([, offset, bytes]) => [offset, bytes] as const)
  assertRecordLayouts({ [record]: { fields: offsets, end: size } })
  for (const [name, offset] of fields) {
    assert.equal(offset % alignment, 0, `${record}: ${name} at ${offset} is not aligned`)
  }
}

function assertHeads(): void {
  const perFamily = FAMILIES.length * 4
  assertFields(
    'arena head',
    [
      ['free', layout.ARENA_FREE, 4],
      ['torrents', layout.ARENA_TORRENTS, 4],
      ['empty list', layout.EMPTY_LIST, layout.LIST_BYTES],
    ],
    layout.ARENA_HEAD_BYTES,
    4,
  )
  assertFields(
    'stripe head',
    [
      ['lock', layout.STRIPE_LOCK, 4],
      ['taken', layout.STRIPE_TAKEN, 4],
      ['used', layout.STRIPE_USED, 4],
      ['chunk end', layout.STRIPE_CHUNK_END, 4],
      ['index', layout.STRIPE_INDEX, 4],
      ['index size', layout.STRIPE_INDEX_SIZE, 4],
      ['torrents', layout.STRIPE_TORRENTS, 4],
      ['peers', layout.STRIPE_PEERS, perFamily],
      ['seeders', layout.STRIPE_SEEDERS, perFamily],
      ['completed', layout.STRIPE_COMPLETED, 4],
      ['expired', layout.STRIPE_EXPIRED, 4],
      ['chunks', layout.STRIPE_CHUNKS, 4],
      ['class map', layout.STRIPE_CLASS_MAP, layout.CLASS_COUNT / 8],
      ['changed', layout.STRIPE_CHANGED, 4],
      ['free lists', layout.STRIPE_FREE, layout.CLASS_COUNT * 4],
      ['evicted', layout.STRIPE_EVICTED, 4],
      ['refused', layout.STRIPE_REFUSED, 4],
      ['used classes', layout.STRIPE_USED_CLASSES, layout.USED_CLASS_BYTES.length * 4],
    ],
    layout.STRIPE_HEAD_BYTES,
    4,
  )
  assert.equal(layout.STRIPE_HEAD_BYTES % 64, 0, 'two stripe heads share no cache line')
}

function assertTorrentsAndPeers(): void {
  assertFields(
    'torrent',
    [
      ['hash', layout.TORRENT_HASH, HASH_BYTES],
      ['completed', layout.TORRENT_COMPLETED, 4],
      ['active', layout.TORRENT_ACTIVE, 4],
      ['flags', layout.TORRENT_FLAGS, 4],
      ['lists', layout.TORRENT_LISTS, 2 * layout.LIST_BYTES],
      ['oldest', layout.TORRENT_OLDEST, 4],
      ['written', layout.TORRENT_WRITTEN, 4],
    ],
    layout.TORRENT_BYTES,
    4,
  )
  assertFields(
    'peer list',
    [
      ['block', layout.LIST_BLOCK, 4],
      ['count', layout.LIST_COUNT, 4],
      ['seeders', layout.LIST_SEEDERS, 4],
      ['capacity', layout.LIST_CAPACITY, 4],
    ],
    layout.LIST_BYTES,
    4,
  )
  assertFields(
    'details of a peer',
    [
      ['peer id', layout.DETAIL_PEER_ID, HASH_BYTES],
      ['uploaded', layout.DETAIL_UPLOADED, 6],
      ['downloaded', layout.DETAIL_DOWNLOADED, 6],
      ['left', layout.DETAIL_LEFT, 6],
      ['seen', layout.DETAIL_SEEN, 4],
      ['user', layout.DETAIL_USER, 4],
    ],
    layout.DETAIL_BYTES,
    2,
  )
  for (const family of FAMILIES) {
    assert.equal(COMPACT_BYTES[family] % 2, 0, 'compact peers are copied in units of two bytes')
    assert.equal(layout.PEER_ADDRESS[family] % 4, 0, 'addresses are compared word by word')
    assert.ok(layout.PEER_ADDRESS[family] + PORT_BYTES <= COMPACT_BYTES[family])
    assert.equal((COMPACT_BYTES[family] + layout.DETAIL_BYTES) % 4, 0, 'tags are whole words')
  }
  assert.equal(
    layout.LEASE_NODES * 2 ** layout.LEASE_NODE_SHIFT,
    layout.USER_NUMBER_BITS + 1,
    'a lease fills the bits of a user number',
  )
  assert.equal(
    layout.LEASE_GENERATIONS * 2 ** layout.LEASE_GENERATION_SHIFT,
    2 ** layout.LEASE_NODE_SHIFT,
    'the generation of a lease ends where its node begins',
  )
  assert.equal(layout.LEASE_COUNT_BITS + 1, 2 ** layout.LEASE_GENERATION_SHIFT)
  const flags = [layout.COMPLETION_COUNTED, layout.COMPLETION_OWED, layout.PEER_RETURNED]
  const all = [...flags, layout.PEER_LEASED, layout.USER_NUMBER_BITS]
  const sum = all.reduce((bits, flag) => bits + flag, 0)
  assert.equal(sum, 2 ** 32 - 1, 'the bits of a peer do not overlap')
  assert.ok(NODE_NUMBERS <= layout.LEASE_NODES - 1, 'the last number of a lease is not of a node')
  assert.equal(CONNECTION_CLIENT, CONNECTION_BYTES, 'the client address follows the connection')
  assert.ok(CONNECTION_CLIENT + IP_BYTES_MAX + PORT_BYTES <= COMPACT_BYTES[2])
}

function assertSessions(): void {
  const fields = [
    ['next', session.SESSION_NEXT, 4],
    ['user', session.SESSION_USER, 4],
    ['info hash', session.SESSION_HASH, HASH_BYTES],
    ['peer id', session.SESSION_PEER_ID, HASH_BYTES],
    ['uploaded', session.SESSION_UPLOADED, 8],
    ['downloaded', session.SESSION_DOWNLOADED, 8],
    ['new upload', session.SESSION_NEW_UP, 8],
    ['new download', session.SESSION_NEW_DOWN, 8],
    ['new credit of upload', session.SESSION_NEW_CREDIT_UP, 8],
    ['new credit of download', session.SESSION_NEW_CREDIT_DOWN, 8],
    ['upload ahead of the rate', session.SESSION_AHEAD_UP, 4],
    ['download ahead of the rate', session.SESSION_AHEAD_DOWN, 4],
    ['seen', session.SESSION_SEEN, 4],
    ['state', session.SESSION_STATE, 4],
    ['new seeding seconds', session.SESSION_NEW_SEEDING, 4],
    ['endpoints', session.SESSION_ENDPOINTS, 4],
    ['addresses', session.SESSION_ADDRESSES, session.ENDPOINTS_MAX * session.ENDPOINT_BYTES],
    ['final upload', session.SESSION_FINAL_UP, 8],
    ['final download', session.SESSION_FINAL_DOWN, 8],
    ['left', session.SESSION_LEFT, 8],
    ['new idle upload', session.SESSION_NEW_IDLE_UP, 8],
    ['older', session.SESSION_OLDER, 4],
    ['newer', session.SESSION_NEWER, 4],
    ['stamp', session.SESSION_STAMP, 4],
    ['first', session.SESSION_FIRST, 4],
    ['new downloads', session.SESSION_NEW_COMPLETED, 4],
    ['restarted', session.SESSION_RESTARTED, 4],
  ] as const
  assertFields('session', fields, session.SESSION_BYTES, 4)
  for (const [name, offset, bytes] of fields) {
    if (bytes === 8) assert.equal(offset % 8, 0, `session: ${name} at ${offset} is not aligned`)
  }
  assert.equal(session.SESSION_BYTES % 64, 0, 'sessions share no cache line')
  assert.equal(session.SESSION_PEER_ID, session.SESSION_HASH + HASH_BYTES, 'copied together')
  const firstEnd = session.SESSION_ADDRESSES + session.ENDPOINT_ADDRESS + layout.PEER_ADDRESS[0]
  assert.ok(firstEnd <= 128, 'an announce over IPv4 touches two cache lines of its session')
}

/**
 * Checks once, at start and in the tests, what the constants of the tables assume of each other.
 * Throws an Error that names the record.
 */
export function assertLayouts(): void {
  assertRecordLayouts()
  assertHeads()
  assertTorrentsAndPeers()
  assertSessions()
  assert.ok(layout.ARENA_BYTES_MAX <= 2 ** 31, 'byte offsets are small integers to V8')
  assert.ok(layout.SMALL_AGAIN_PEERS < layout.SEGMENT_PEERS, 'a list must not flap')
  assert.equal(layout.SEGMENT_PEERS & (layout.SEGMENT_PEERS - 1), 0, 'segments are a power of two')
  assert.ok(layout.INDEX_REF_MIN > layout.SEGMENT_PEERS, 'a capacity is not a reference')
  assert.ok(layout.INDEX_REF_MIN >= layout.ARENA_HEAD_BYTES + layout.STRIPE_HEAD_BYTES)
  assert.ok(layout.INDEX_SPLIT_AT < layout.INDEX_SMALL_FULL, 'tables split before they fill')
  assert.ok(layout.INDEX_SMALL_FULL < layout.INDEX_SMALL_ENTRIES, 'a table has an empty entry')
  assert.ok(layout.INDEX_MERGE_AT * 2 < layout.INDEX_SPLIT_AT, 'tables must not flap')
}
