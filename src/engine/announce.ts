import type { Bytes } from '../protocol/bytes.ts'
import { Failure } from '../protocol/failures.ts'
import {
  ADDRESS,
  CLIENT_ADDRESS,
  CONNECTION_CLIENT,
  CONNECTION_WORKER,
  EVENT,
  Event,
  FAILURE,
  FAMILY,
  Family,
  INFO_HASH,
  INTERVAL,
  KEY,
  PEER_ID,
  PORT,
  REPLY_HEADER_BYTES,
  UPLOADED,
  USER_KEY,
} from '../protocol/records.ts'
import { checkInfoHash, checkKeys } from './access.ts'
import { accountPeer } from './account.ts'
import type { Engine } from './engine.ts'
import { evictOldest } from './evict.ts'
import { checkLimits, limited } from './policy.ts'
import { isSeeder, writeConnections, writeCounts, writePeers } from './reply.ts'
import { type Arena, arenaTorrents, increment, stripeHead } from './tables/arena.ts'
import { hasManyOf } from './tables/count-address.ts'
import { findPeer } from './tables/find-peer.ts'
import { isGone } from './tables/gone-workers.ts'
import { hashInfoHash } from './tables/keyed-hash.ts'
import {
  COMPLETION_COUNTED,
  DETAIL_PEER_ID,
  DETAIL_SEEN,
  DETAIL_UPLOADED,
  DETAIL_USER,
  PEER_ADDRESS,
  PEER_WIDTH,
  STRIPE_COMPLETED,
  STRIPE_REFUSED,
  TORRENT_COMPLETED,
} from './tables/layout.ts'
import { releaseLock, takeLock } from './tables/lock.ts'
import {
  compactAt,
  detailAt,
  isCompletionCounted,
  listOf,
  seederCount,
} from './tables/peer-list.ts'
import { randomBelow } from './tables/random.ts'
import { insertPeer, removePeer, setSeeder } from './tables/swarm.ts'
import { addTorrent, findTorrent, markChanged, stripeOf, touchTorrent } from './tables/torrents.ts'

/** Rounds of eviction for one announce before its peer is left out: each frees the oldest of the stripe. */
const EVICTIONS_MAX = 2

/** What `upsert` returns for a peer that was left out: for want of memory, or by a limit. */
const NO_ROOM = -1
const TOO_MANY = -2

/**
 * One announce, of whichever protocol: if it is allowed, changes the swarm as the event says and writes the reply record. The torrent's stripe is held for
 * all of it. Returns the length of the reply.
 */
export function announce(
  engine: Engine,
  request: Bytes,
  at: number,
  reply: Bytes,
  replyAt: number,
  nowSeconds: number,
): number {
  const { access, limits } = engine
  const { view } = request
  const hash = hashInfoHash(engine.hashKey, view, at + INFO_HASH)
  const failure =
    (limits.isChecked
      ? checkLimits(limits, engine.hashKey, request, at, nowSeconds)
      : Failure.none) ||
    checkKeys(access, view, at + KEY, at + USER_KEY, nowSeconds) ||
    checkInfoHash(access, hash, view, at + INFO_HASH)
  if (failure !== Failure.none) {
    reply.u8[replyAt + FAILURE] = failure
    return REPLY_HEADER_BYTES
  }
  const number = stripeOf(hash, engine.stripeCount)
  const arena = engine.arenas[number % engine.arenas.length] as Arena
  const stripe = stripeHead(number, engine.arenas.length)
  const family = request.u8[at + FAMILY] as number
  takeLock(arena, stripe)
  const stopped = request.u8[at + EVENT] === Event.stopped || isOfGone(engine, request, at)
  let torrent = findTorrent(arena, stripe, hash, request.view, at + INFO_HASH)
  if (torrent === 0 && !stopped) {
    if (limits.maxTorrents !== 0 && hasMaxTorrents(engine)) {
      return refuse(engine, arena, stripe, Failure.tooManyTorrents, reply, replyAt)
    }
    torrent = makeTorrent(engine, arena, stripe, hash, request, at, nowSeconds)
  }
  let end = replyAt + REPLY_HEADER_BYTES
  if (torrent !== 0) {
    if (stopped) stop(engine, arena, stripe, torrent, request, at, nowSeconds)
    else {
      const slot = upsert(engine, arena, stripe, torrent, request, at, nowSeconds)
      if (slot === TOO_MANY) {
        return refuse(engine, arena, stripe, Failure.tooManyPeers, reply, replyAt)
      }
      end =
        family === Family.websocket
          ? writeConnections(engine, arena, torrent, slot, request, at, reply, replyAt)
          : writePeers(engine, arena, torrent, slot, request, at, reply, replyAt)
    }
    writeCounts(arena, torrent, reply.view, replyAt)
  }
  releaseLock(arena, stripe)
  const { interval, intervalJitterPercent } = engine.settings
  const jitter = randomBelow(
    engine.random,
    Math.floor((interval * intervalJitterPercent) / 100) + 1,
  )
  reply.view.setUint32(replyAt + INTERVAL, interval + jitter, true)
  return end - replyAt
}

/**
 * Whether a connection announces whose worker is gone: what that one still sent must not bring back peers that are being taken out. Looked at
 * under the stripe's lock, because whoever takes them out has it after the worker was marked as gone.
 */
function isOfGone(engine: Engine, request: Bytes, at: number): boolean {
  if (request.u8[at + FAMILY] !== Family.websocket) return false
  return isGone(engine.goneWorkers, request.view.getUint32(at + ADDRESS + CONNECTION_WORKER, true))
}

/** Lets go of the stripe and writes a limit's failure. Returns the length of the reply. */
function refuse(
  engine: Engine,
  arena: Arena,
  stripe: number,
  failure: Failure,
  reply: Bytes,
  replyAt: number,
): number {
  releaseLock(arena, stripe)
  reply.u8[replyAt + FAILURE] = limited(engine.limits, failure)
  return REPLY_HEADER_BYTES
}

/** Threads that look at the same moment may each add one more. */
function hasMaxTorrents({ arenas, limits }: Engine): boolean {
  let torrents = 0
  for (const arena of arenas) torrents += arenaTorrents(arena)
  return torrents >= limits.maxTorrents
}

function makeTorrent(
  engine: Engine,
  arena: Arena,
  stripe: number,
  hash: number,
  request: Bytes,
  at: number,
  nowSeconds: number,
): number {
  for (let round = 0; ; round++) {
    const torrent = addTorrent(arena, stripe, hash, request.view, at + INFO_HASH, engine.hashKey)
    if (torrent !== 0) return torrent
    if (round === EVICTIONS_MAX || !evictOldest(engine, arena, stripe, 0, nowSeconds)) {
      increment(arena, stripe + STRIPE_REFUSED)
      return 0
    }
  }
}

function stop(
  engine: Engine,
  arena: Arena,
  stripe: number,
  torrent: number,
  request: Bytes,
  at: number,
  nowSeconds: number,
): void {
  const family = request.u8[at + FAMILY] as number
  const list = listOf(arena, torrent, family)
  const { access, hashKey: key } = engine
  const { view } = request
  const leecher = !isSeeder(view, at)
  const slot = findPeer(arena, list, family, view, at + PEER_ID, at + ADDRESS, key, leecher)
  if (slot === -1) return
  if (access.rules.users) {
    const detail = detailAt(arena, list, family, slot)
    accountPeer(access, arena, detail, request, at, false, nowSeconds)
  }
  removePeer(arena, stripe, torrent, family, slot, key)
  if (engine.settings.notePeers) markChanged(arena, stripe, torrent)
}

/** Adds the peer or brings it up to date, and returns its slot, or NO_ROOM or TOO_MANY. */
function upsert(
  engine: Engine,
  arena: Arena,
  stripe: number,
  torrent: number,
  request: Bytes,
  at: number,
  nowSeconds: number,
): number {
  const { u8, view } = request
  const { access, settings } = engine
  const family = u8[at + FAMILY] as number
  let list = listOf(arena, torrent, family)
  const seeder = isSeeder(view, at)
  const key = engine.hashKey
  let slot = findPeer(arena, list, family, view, at + PEER_ID, at + ADDRESS, key, !seeder)
  const { peersPerAddress } = engine.limits
  if (
    slot === -1 &&
    peersPerAddress !== 0 &&
    hasManyOf(
      arena,
      list,
      family,
      view,
      at + (family === Family.websocket ? CLIENT_ADDRESS : ADDRESS),
      peersPerAddress,
    )
  ) {
    return TOO_MANY
  }
  touchTorrent(arena, torrent, nowSeconds)
  const turned = slot === -1 || seeder !== slot < seederCount(arena, list)
  const before = slot === -1 ? 0 : detailAt(arena, list, family, slot)
  // Once for each time that a peer becomes a seeder, whenever it comes: an announce that says nothing but `left` may overtake it.
  const counted = seeder && before !== 0 && isCompletionCounted(arena, before)
  const completed = seeder && !counted && u8[at + EVENT] === Event.completed
  if (completed) {
    increment(arena, torrent + TORRENT_COMPLETED)
    increment(arena, stripe + STRIPE_COMPLETED)
  }
  if ((completed && settings.persistent) || (turned && settings.notePeers)) {
    markChanged(arena, stripe, torrent)
  }
  if (access.rules.users) {
    accountPeer(access, arena, before, request, at, completed, nowSeconds)
  }
  if (slot !== -1) {
    slot = setSeeder(arena, stripe, list, family, slot, seeder, key)
  } else {
    slot = insert(engine, arena, stripe, torrent, request, at, seeder, nowSeconds)
    if (slot === -1) return NO_ROOM
    list = listOf(arena, torrent, family)
    const compact = compactAt(arena, list, family, slot)
    const bytes = PEER_ADDRESS[family] as number
    for (let n = 0; n < bytes; n++) arena.u8[compact + n] = u8[at + ADDRESS + n] as number
    if (family === Family.websocket) {
      const client = compact + CONNECTION_CLIENT
      for (let n = 0; n < 16; n++) arena.u8[client + n] = u8[at + CLIENT_ADDRESS + n] as number
    }
    const id = detailAt(arena, list, family, slot) + DETAIL_PEER_ID
    for (let n = 0; n < 20; n++) arena.u8[id + n] = u8[at + PEER_ID + n] as number
  }
  const owner = counted || completed ? access.user | COMPLETION_COUNTED : access.user
  writeDetails(arena, list, family, slot, view, at, owner, nowSeconds)
  return slot
}

function insert(
  engine: Engine,
  arena: Arena,
  stripe: number,
  torrent: number,
  request: Bytes,
  at: number,
  seeder: boolean,
  nowSeconds: number,
): number {
  const family = request.u8[at + FAMILY] as number
  const key = engine.hashKey
  for (let round = 0; ; round++) {
    const slot = insertPeer(
      arena,
      stripe,
      torrent,
      family,
      request.view,
      at + PEER_ID,
      at + ADDRESS,
      seeder,
      key,
    )
    if (slot !== -1) return slot
    if (round === EVICTIONS_MAX || !evictOldest(engine, arena, stripe, torrent, nowSeconds)) {
      increment(arena, stripe + STRIPE_REFUSED)
      return -1
    }
  }
}

function writeDetails(
  arena: Arena,
  list: number,
  family: number,
  slot: number,
  view: DataView,
  at: number,
  owner: number,
  nowSeconds: number,
): void {
  const compact = compactAt(arena, list, family, slot)
  const port = view.getUint16(at + PORT, true)
  const portAt = compact + (PEER_WIDTH[family] as number) - 2
  arena.u8[portAt] = port >>> 8
  arena.u8[portAt + 1] = port & 0xff
  const detail = detailAt(arena, list, family, slot)
  for (let field = 0; field < 3; field++) {
    const target = (detail + DETAIL_UPLOADED + field * 6) >> 1
    const low = view.getUint32(at + UPLOADED + field * 8, true)
    arena.u16[target] = low & 0xffff
    arena.u16[target + 1] = low >>> 16
    arena.u16[target + 2] = view.getUint16(at + UPLOADED + field * 8 + 4, true)
  }
  const seen = (detail + DETAIL_SEEN) >> 1
  arena.u16[seen] = nowSeconds & 0xffff
  arena.u16[seen + 1] = nowSeconds >>> 16
  const ownerAt = (detail + DETAIL_USER) >> 1
  arena.u16[ownerAt] = owner & 0xffff
  arena.u16[ownerAt + 1] = owner >>> 16
}
