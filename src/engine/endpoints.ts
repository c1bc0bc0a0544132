import type { Bytes } from '../protocol/bytes.ts'
import { ADDRESS, type Family, HASH_BYTES, INFO_HASH } from '../protocol/records.ts'
import type { Announce } from './current-announce.ts'
import type { Engine } from './engine.ts'
import { ownerOf } from './peer-owner.ts'
import {
  ENDPOINT_ADDRESS,
  ENDPOINT_ADDRESS_BYTES,
  ENDPOINT_BYTES,
  ENDPOINT_FAMILY,
  ENDPOINT_SEEDER,
  ENDPOINTS_MAX,
  EXTRA_LEECHERS,
  EXTRA_SEEDERS,
  SESSION_ADDRESSES,
  SESSION_ENDPOINTS,
  SESSION_SEEN,
  type SessionKey,
  type Sessions,
} from './session-layout.ts'
import {
  addSession,
  countCorrected,
  holdSession,
  mayBeCorrected,
  releaseSession,
  removeSession,
} from './sessions.ts'
import { isDownloading, noteDownloading } from './siblings.ts'
import { createSoughtPeer, findPeer, type SoughtPeer } from './tables/find-peer.ts'
import { hashInfoHash } from './tables/keyed-hash.ts'
import { DETAIL_PEER_ID, PEER_ADDRESS, TORRENT_HASH } from './tables/layout.ts'
import { listOf } from './tables/peer-list.ts'
import { NO_SLOT, NO_TORRENT, type TorrentRef } from './tables/references.ts'
import { removePeer } from './tables/swarm.ts'
import { markChanged } from './tables/torrents.ts'

/**
 * The addresses of a session: one client may have peers in the swarm over IPv4, IPv6 and WebSocket,
 * or under an address that it no longer has. They count once: as a seeder if one of them is one.
 * The torrent's correction holds how many peers of each kind are to be left out of its counts.
 */

/** Offset of endpoint `n`. */
function endpointAt(session: number, n: number): number {
  return session + SESSION_ADDRESSES + n * ENDPOINT_BYTES
}

/** Number of the endpoint with this address, -1 if the session does not have it. */
export function findEndpoint(
  { i32, u8, u32 }: Sessions,
  session: number,
  family: Family,
  from: { readonly view: DataView },
  addressAt: number,
): number {
  const count = u32[(session + SESSION_ENDPOINTS) >> 2]!
  for (let n = 0; n < count; n++) {
    const at = endpointAt(session, n)
    if (u8[at + ENDPOINT_FAMILY] !== family) continue
    const word = (at + ENDPOINT_ADDRESS) >> 2
    let equal = 0
    const bytes = PEER_ADDRESS[family]
    while (
      equal < bytes &&
      i32[word + (equal >> 2)] === from.view.getInt32(addressAt + equal, true)
    ) {
      equal += 4
    }
    if (equal === bytes) return n
  }
  return -1
}

/** Peers of the held session that are to be left out of the torrent's counts. */
type Extra = { seeders: number; leechers: number }
const before: Extra = { seeders: 0, leechers: 0 }
const after: Extra = { seeders: 0, leechers: 0 }

function countExtra({ u8, u32 }: Sessions, session: number, extra: Extra): void {
  const count = u32[(session + SESSION_ENDPOINTS) >> 2]!
  let seeders = 0
  for (let n = 0; n < count; n++) seeders += u8[endpointAt(session, n) + ENDPOINT_SEEDER]!
  const leechers = count - seeders
  extra.seeders = Math.max(0, seeders - 1)
  extra.leechers = seeders > 0 ? leechers : Math.max(0, leechers - 1)
}

/**
 * Makes the address of the announce the first endpoint of the held session; `known` is its number,
 * -1 if it is new. Releases the session.
 */
export function putEndpoint(
  engine: Engine,
  announce: Announce,
  session: number,
  known: number,
): void {
  const { sessions } = engine
  const { u8, u32 } = sessions
  const { request, at, peer } = announce
  const first = endpointAt(session, 0)
  const isSeeder = peer.seeder ? 1 : 0
  if (known === 0 && u8[first + ENDPOINT_SEEDER] === isSeeder) {
    releaseSession(sessions)
    return
  }
  countExtra(sessions, session, before)
  const was = isDownloading(sessions, session)
  const count = u32[(session + SESSION_ENDPOINTS) >> 2]!
  const last = known === -1 ? Math.min(count, ENDPOINTS_MAX - 1) : known
  u8.copyWithin(first + ENDPOINT_BYTES, first, first + last * ENDPOINT_BYTES)
  writeEndpoint(sessions, first, peer, request, at + ADDRESS)
  if (known === -1) u32[(session + SESSION_ENDPOINTS) >> 2] = last + 1
  noteDownloading(sessions, engine.sessionKey, session, was)
  countExtra(sessions, session, after)
  releaseSession(sessions)
  correct(engine, announce.hash, request.view, at + INFO_HASH)
}

/** Writes family, class and address of a peer, whose address is at `addressAt` of `from`. */
function writeEndpoint(
  { u8 }: Sessions,
  endpoint: number,
  { family, seeder }: SoughtPeer,
  from: Bytes,
  addressAt: number,
): void {
  u8[endpoint + ENDPOINT_FAMILY] = family
  u8[endpoint + ENDPOINT_SEEDER] = seeder ? 1 : 0
  const bytes = PEER_ADDRESS[family]
  for (let n = 0; n < ENDPOINT_ADDRESS_BYTES; n++) {
    u8[endpoint + ENDPOINT_ADDRESS + n] = n < bytes ? from.u8[addressAt + n]! : 0
  }
}

/**
 * Adds the address of a restored peer to its session, after those that have announced since. A
 * session that is not known has no counts to go on from, and is not added.
 */
export function attachStored(
  engine: Engine,
  key: SessionKey,
  record: Bytes,
  peer: SoughtPeer,
): void {
  const { sessions } = engine
  const session = holdSession(sessions, key)
  const { u32 } = sessions
  const count = session === 0 ? ENDPOINTS_MAX : u32[(session + SESSION_ENDPOINTS) >> 2]!
  const { family, addressAt } = peer
  if (count >= ENDPOINTS_MAX || findEndpoint(sessions, session, family, record, addressAt) !== -1) {
    releaseSession(sessions)
    return
  }
  countExtra(sessions, session, before)
  const was = isDownloading(sessions, session)
  writeEndpoint(sessions, endpointAt(session, count), peer, record, addressAt)
  u32[(session + SESSION_ENDPOINTS) >> 2] = count + 1
  noteDownloading(sessions, key, session, was)
  countExtra(sessions, session, after)
  releaseSession(sessions)
  correct(engine, key.hash, key.view, key.hashAt)
}

const taken = Buffer.alloc(ENDPOINTS_MAX * ENDPOINT_BYTES)
/** A peer id, and an address. */
const soughtBytes = new Uint8Array(HASH_BYTES + ENDPOINT_ADDRESS_BYTES)
const sought = createSoughtPeer(new DataView(soughtBytes.buffer))
sought.idAt = 0
sought.addressAt = HASH_BYTES

/**
 * Removes all but the first `keep` endpoints from the held session, releases the session, and
 * removes their peers from the swarm.
 */
export function takeEndpoints(
  engine: Engine,
  announce: Announce,
  session: number,
  torrent: TorrentRef,
  keep: number,
): void {
  const { sessions, held } = engine
  const { u8, u32 } = sessions
  const { request, at, peer } = announce
  const count = u32[(session + SESSION_ENDPOINTS) >> 2]!
  if (count <= keep) {
    releaseSession(sessions)
    return
  }
  countExtra(sessions, session, before)
  taken.set(u8.subarray(endpointAt(session, keep), endpointAt(session, count)))
  const was = isDownloading(sessions, session)
  u32[(session + SESSION_ENDPOINTS) >> 2] = keep
  noteDownloading(sessions, engine.sessionKey, session, was)
  countExtra(sessions, session, after)
  releaseSession(sessions)
  correct(engine, announce.hash, request.view, at + INFO_HASH)
  if (torrent === NO_TORRENT) return
  for (let n = 0; n < HASH_BYTES; n++) soughtBytes[n] = request.u8[peer.idAt + n]!
  for (let n = 0; n < count - keep; n++) {
    const from = n * ENDPOINT_BYTES
    sought.family = taken[from + ENDPOINT_FAMILY] as Family
    sought.seeder = taken[from + ENDPOINT_SEEDER] === 1
    soughtBytes.set(taken.subarray(from + ENDPOINT_ADDRESS, from + ENDPOINT_BYTES), HASH_BYTES)
    const slot = findPeer(held, listOf(held.arena, torrent, sought.family), sought)
    if (slot === NO_SLOT) continue
    removePeer(held, torrent, sought.family, slot)
    if (engine.settings.notePeers) markChanged(held, torrent)
  }
}

/** Removes the endpoint of a peer that is about to be removed from the swarm. */
export function detachEndpoint(
  engine: Engine,
  torrent: TorrentRef,
  family: Family,
  compact: number,
  detail: number,
): void {
  const { sessions, held, sessionKey: key } = engine
  const { arena } = held
  const owner = ownerOf(arena, detail)
  if (owner === 0) return
  key.user = owner
  key.hash = hashInfoHash(held.hashKey, arena.view, torrent + TORRENT_HASH)
  key.view = arena.view
  key.hashAt = torrent + TORRENT_HASH
  key.idAt = detail + DETAIL_PEER_ID
  const session = holdSession(sessions, key)
  const known = session === 0 ? -1 : findEndpoint(sessions, session, family, arena, compact)
  if (known === -1) {
    releaseSession(sessions)
    return
  }
  const count = sessions.u32[(session + SESSION_ENDPOINTS) >> 2]!
  countExtra(sessions, session, before)
  const was = isDownloading(sessions, session)
  sessions.u8.copyWithin(
    endpointAt(session, known),
    endpointAt(session, known + 1),
    endpointAt(session, count),
  )
  sessions.u32[(session + SESSION_ENDPOINTS) >> 2] = count - 1
  noteDownloading(sessions, key, session, was)
  countExtra(sessions, session, after)
  releaseSession(sessions)
  correct(engine, key.hash, arena.view, torrent + TORRENT_HASH)
}

const correctionBytes = new Uint8Array(HASH_BYTES * 2)
const correctionView = new DataView(correctionBytes.buffer)

/** Takes the lock of the partition of a torrent's correction, and returns its offset or 0. */
function holdCorrection(engine: Engine, hash: number, view: DataView, hashAt: number): number {
  const key = engine.correctionKey
  for (let n = 0; n < HASH_BYTES; n++) correctionBytes[n] = view.getUint8(hashAt + n)
  key.user = 0
  key.hash = hash
  key.view = correctionView
  key.hashAt = 0
  key.idAt = HASH_BYTES
  return holdSession(engine.sessions, key)
}

/** Adds the difference between `after` and `before` to the torrent's correction. */
function correct(engine: Engine, hash: number, view: DataView, hashAt: number): void {
  const seeders = after.seeders - before.seeders
  const leechers = after.leechers - before.leechers
  if (seeders === 0 && leechers === 0) return
  const { sessions } = engine
  let correction = holdCorrection(engine, hash, view, hashAt)
  const { u32 } = sessions
  if (correction === 0) {
    correction = addSession(sessions, engine.correctionKey)
    if (correction !== 0) countCorrected(sessions, hash, 1)
  }
  if (correction !== 0) {
    u32[(correction + SESSION_SEEN) >> 2] = 0xffff_ffff
    const s = Math.max(0, (u32[(correction + EXTRA_SEEDERS) >> 2]! | 0) + seeders)
    const l = Math.max(0, (u32[(correction + EXTRA_LEECHERS) >> 2]! | 0) + leechers)
    u32[(correction + EXTRA_SEEDERS) >> 2] = s
    u32[(correction + EXTRA_LEECHERS) >> 2] = l
    if (s === 0 && l === 0) {
      removeSession(sessions, correction)
      countCorrected(sessions, hash, -1)
    }
  }
  releaseSession(sessions)
}

/** Reads how many peers are to be left out of the torrent's counts. The stripe is held. */
export function readExtra(
  engine: Engine,
  hash: number,
  view: DataView,
  hashAt: number,
): Readonly<Extra> {
  after.seeders = 0
  after.leechers = 0
  const { sessions } = engine
  if (!engine.access.rules.users || !mayBeCorrected(sessions, hash)) return after
  const correction = holdCorrection(engine, hash, view, hashAt)
  if (correction !== 0) {
    after.seeders = sessions.u32[(correction + EXTRA_SEEDERS) >> 2]!
    after.leechers = sessions.u32[(correction + EXTRA_LEECHERS) >> 2]!
  }
  releaseSession(sessions)
  return after
}
