import { Failure } from '../protocol/failures.ts'
import {
  ADDRESS,
  CLIENT_ADDRESS,
  COMPACT_BYTES,
  CONNECTION_CLIENT,
  CONNECTION_WORKER,
  EVENT,
  Event,
  FAILURE,
  Family,
  HASH_BYTES,
  INFO_HASH,
  INTERVAL,
  KEY,
  PEER_ID,
  PORT,
  PORT_BYTES,
  REPLY_HEADER_BYTES,
  UPLOADED,
  USER_KEY,
} from '../protocol/records.ts'
import { checkInfoHash, checkKeys } from './access.ts'
import { accountPeer } from './account.ts'
import type { Announce } from './current-announce.ts'
import { isDead } from './dead-workers.ts'
import type { Engine } from './engine.ts'
import { evictOldest } from './evict.ts'
import { checkLimits, limited } from './policy.ts'
import { writeConnections, writeCounts, writePeers } from './reply.ts'
import { type Arena, arenaTorrents, increment } from './tables/arena.ts'
import { hasManyOf } from './tables/count-address.ts'
import { findPeer } from './tables/find-peer.ts'
import {
  COMPLETION_COUNTED,
  DETAIL_PEER_ID,
  DETAIL_SEEN,
  DETAIL_UPLOADED,
  DETAIL_USER,
  PEER_ADDRESS,
  STRIPE_COMPLETED,
  STRIPE_REFUSED,
  TORRENT_COMPLETED,
} from './tables/layout.ts'
import {
  compactAt,
  detailAt,
  isCompletionCounted,
  listOf,
  seederCount,
} from './tables/peer-list.ts'
import { randomBelow } from './tables/random.ts'
import { NO_SLOT, NO_TORRENT, type Slot, type TorrentRef } from './tables/references.ts'
import { holdStripeOf, releaseStripe } from './tables/stripe.ts'
import { insertPeer, removePeer, setSeeder } from './tables/swarm.ts'
import { addTorrent, findTorrent, markChanged, touchTorrent } from './tables/torrents.ts'

/** Rounds of eviction for one announce before its peer is left out. */
const EVICTIONS_MAX = 2

/** Returned by `upsert` for a peer that a limit keeps out. */
const TOO_MANY = -2

/**
 * Answers one announce, whatever its protocol: if it is allowed, changes the swarm as the event says
 * and writes the reply record. The torrent's stripe is held meanwhile. Returns the length of the
 * reply.
 */
export function announce(engine: Engine, announce: Announce): number {
  const { held } = engine
  const { request, at, reply, replyAt } = announce
  const failure = checkAnnounce(engine, announce)
  if (failure !== Failure.none) {
    reply.u8[replyAt + FAILURE] = failure
    return REPLY_HEADER_BYTES
  }
  holdStripeOf(held, announce.hash)
  const stopped = request.u8[at + EVENT] === Event.stopped || isOfDeadWorker(engine, announce)
  let torrent = findTorrent(held, announce.hash, request.view, at + INFO_HASH)
  if (torrent === NO_TORRENT && !stopped) {
    if (engine.limits.maxTorrents !== 0 && hasMaxTorrents(engine)) {
      return refuse(engine, announce, Failure.tooManyTorrents)
    }
    torrent = makeTorrent(engine, announce)
  }
  let end = replyAt + REPLY_HEADER_BYTES
  if (torrent !== NO_TORRENT) {
    if (stopped) stop(engine, announce, torrent)
    else {
      const slot = upsert(engine, announce, torrent)
      if (slot === TOO_MANY) return refuse(engine, announce, Failure.tooManyPeers)
      end =
        announce.peer.family === Family.websocket
          ? writeConnections(engine, announce, torrent, slot)
          : writePeers(engine, announce, torrent, slot)
    }
    writeCounts(held.arena, torrent, reply.view, replyAt)
  }
  releaseStripe(held)
  const { interval, intervalJitterPercent } = engine.settings
  const jitter = randomBelow(
    engine.random,
    Math.floor((interval * intervalJitterPercent) / 100) + 1,
  )
  reply.view.setUint32(replyAt + INTERVAL, interval + jitter, true)
  return end - replyAt
}

/** The checks that do not need the torrent. */
function checkAnnounce({ access, limits, hashKey }: Engine, announce: Announce): Failure {
  const { at, nowSeconds } = announce
  const { view } = announce.request
  return (
    (limits.isChecked ? checkLimits(limits, hashKey, announce) : Failure.none) ||
    checkKeys(access, view, at + KEY, at + USER_KEY, nowSeconds) ||
    checkInfoHash(access, announce.hash, view, at + INFO_HASH)
  )
}

/**
 * Whether the announce comes from a connection of a dead worker. Such an announce must not bring back
 * a peer that is being removed. The caller holds the stripe: the peers are removed under its lock
 * after the worker was marked as dead.
 */
function isOfDeadWorker(engine: Engine, { request, at, peer }: Announce): boolean {
  if (peer.family !== Family.websocket) return false
  return isDead(engine.deadWorkers, request.view.getUint32(at + ADDRESS + CONNECTION_WORKER, true))
}

/** Releases the stripe and writes the failure of a limit. Returns the length of the reply. */
function refuse(engine: Engine, { reply, replyAt }: Announce, failure: Failure): number {
  releaseStripe(engine.held)
  reply.u8[replyAt + FAILURE] = limited(engine.limits, failure)
  return REPLY_HEADER_BYTES
}

/** Threads that check at the same moment may each add one torrent more. */
function hasMaxTorrents({ arenas, limits }: Engine): boolean {
  let torrents = 0
  for (const arena of arenas) torrents += arenaTorrents(arena)
  return torrents >= limits.maxTorrents
}

function makeTorrent(engine: Engine, announce: Announce): TorrentRef {
  const { held } = engine
  const { request, at, nowSeconds } = announce
  for (let round = 0; ; round++) {
    const torrent = addTorrent(held, announce.hash, request.view, at + INFO_HASH)
    if (torrent !== NO_TORRENT) return torrent
    if (round === EVICTIONS_MAX || !evictOldest(engine, NO_TORRENT, nowSeconds)) {
      increment(held.arena, held.head + STRIPE_REFUSED)
      return NO_TORRENT
    }
  }
}

function stop(engine: Engine, announce: Announce, torrent: TorrentRef): void {
  const { held, access } = engine
  const { family } = announce.peer
  const list = listOf(held.arena, torrent, family)
  const slot = findPeer(held, list, announce.peer)
  if (slot === NO_SLOT) return
  if (access.rules.users) {
    const detail = detailAt(held.arena, list, family, slot)
    accountPeer(access, held.arena, detail, announce, false)
  }
  removePeer(held, torrent, family, slot)
  if (engine.settings.notePeers) markChanged(held, torrent)
}

/**
 * Adds the peer or updates it. Returns its slot, NO_SLOT if memory is full, or TOO_MANY if a limit
 * keeps it out.
 */
function upsert(engine: Engine, announce: Announce, torrent: TorrentRef): Slot | typeof TOO_MANY {
  const { access, settings, held } = engine
  const { arena } = held
  const { at, peer } = announce
  const { family, seeder } = peer
  const { peersPerAddress } = engine.limits
  let list = listOf(arena, torrent, family)
  let slot = findPeer(held, list, peer)
  if (slot === NO_SLOT && peersPerAddress !== 0) {
    const client = at + (family === Family.websocket ? CLIENT_ADDRESS : ADDRESS)
    if (hasManyOf(held, list, peer, client, peersPerAddress)) return TOO_MANY
  }
  touchTorrent(arena, torrent, announce.nowSeconds)
  const turned = slot === NO_SLOT || seeder !== slot < seederCount(arena, list)
  const before = slot === NO_SLOT ? 0 : detailAt(arena, list, family, slot)
  // Once for each time that a peer becomes a seeder: an announce with `left` alone may overtake the
  // one with `completed`.
  const counted = seeder && before !== 0 && isCompletionCounted(arena, before)
  const completed = seeder && !counted && announce.request.u8[at + EVENT] === Event.completed
  if (completed) {
    increment(arena, torrent + TORRENT_COMPLETED)
    increment(arena, held.head + STRIPE_COMPLETED)
  }
  if ((completed && settings.persistent) || (turned && settings.notePeers)) {
    markChanged(held, torrent)
  }
  if (access.rules.users) accountPeer(access, arena, before, announce, completed)
  if (slot !== NO_SLOT) {
    slot = setSeeder(held, list, family, slot, seeder)
  } else {
    slot = insert(engine, announce, torrent)
    if (slot === NO_SLOT) return NO_SLOT
    list = listOf(arena, torrent, family)
    writeIdentity(
      arena,
      compactAt(arena, list, family, slot),
      detailAt(arena, list, family, slot),
      announce,
    )
  }
  const owner = counted || completed ? access.user | COMPLETION_COUNTED : access.user
  writePort(arena, compactAt(arena, list, family, slot), announce)
  writeDetails(arena, detailAt(arena, list, family, slot), announce, owner)
  return slot
}

/** Inserts the announcing peer; evicts the oldest peers of the stripe if memory is full. */
function insert(engine: Engine, announce: Announce, torrent: TorrentRef): Slot {
  const { held } = engine
  for (let round = 0; ; round++) {
    const slot = insertPeer(held, torrent, announce.peer)
    if (slot !== NO_SLOT) return slot
    if (round === EVICTIONS_MAX || !evictOldest(engine, torrent, announce.nowSeconds)) {
      increment(held.arena, held.head + STRIPE_REFUSED)
      return NO_SLOT
    }
  }
}

/** Writes what does not change while a peer is known: address and peer id. */
function writeIdentity(
  { u8 }: Arena,
  compact: number,
  detail: number,
  { request, at, peer }: Announce,
): void {
  const from = request.u8
  const bytes = PEER_ADDRESS[peer.family]
  for (let n = 0; n < bytes; n++) u8[compact + n] = from[at + ADDRESS + n]!
  if (peer.family === Family.websocket) {
    const client = compact + CONNECTION_CLIENT
    for (let n = 0; n < 16; n++) u8[client + n] = from[at + CLIENT_ADDRESS + n]!
  }
  const id = detail + DETAIL_PEER_ID
  for (let n = 0; n < HASH_BYTES; n++) u8[id + n] = from[at + PEER_ID + n]!
}

function writePort({ u8 }: Arena, compact: number, { request, at, peer }: Announce): void {
  const port = request.view.getUint16(at + PORT, true)
  const portAt = compact + COMPACT_BYTES[peer.family] - PORT_BYTES
  u8[portAt] = port >>> 8
  u8[portAt + 1] = port & 0xff
}

function writeDetails({ u16 }: Arena, detail: number, announce: Announce, owner: number): void {
  const { at, nowSeconds } = announce
  const { view } = announce.request
  for (let field = 0; field < 3; field++) {
    const target = (detail + DETAIL_UPLOADED + field * 6) >> 1
    const low = view.getUint32(at + UPLOADED + field * 8, true)
    u16[target] = low & 0xffff
    u16[target + 1] = low >>> 16
    u16[target + 2] = view.getUint16(at + UPLOADED + field * 8 + 4, true)
  }
  const seen = (detail + DETAIL_SEEN) >> 1
  u16[seen] = nowSeconds & 0xffff
  u16[seen + 1] = nowSeconds >>> 16
  const ownerAt = (detail + DETAIL_USER) >> 1
  u16[ownerAt] = owner & 0xffff
  u16[ownerAt + 1] = owner >>> 16
}
