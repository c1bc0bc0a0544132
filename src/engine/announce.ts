import { DeltaBit } from '../protocol/delta-record.ts'
import { Failure } from '../protocol/failures.ts'
import {
  ADDRESS,
  CONNECTION_WORKER,
  EVENT,
  Event,
  FAILURE,
  Family,
  FLAGS,
  INFO_HASH,
  INTERVAL,
  KEY,
  REPLY_FLAGS,
  REPLY_HEADER_BYTES,
  USER_KEY,
} from '../protocol/records.ts'
import { checkInfoHash, checkKeys, findUser } from './access.ts'
import { account, attachPeer } from './account.ts'
import type { Announce } from './current-announce.ts'
import { isDead } from './dead-workers.ts'
import { countSkipped, type DeltaRing, writeDelta } from './delta-ring.ts'
import type { Engine } from './engine.ts'
import { EventKind, logEvent } from './event-log.ts'
import { evict } from './evict.ts'
import { expirePeers } from './expire.ts'
import { isNewCompletion } from './new-completion.ts'
import { isOwedCompletion, rememberCompleted } from './owed-completion.ts'
import { nextLease } from './peer-leases.ts'
import { checkLimits, limited, takeRate } from './policy.ts'
import { removeOwnedPeer } from './remove-peer.ts'
import { writeConnections, writeCounts, writePeers } from './reply.ts'
import { arenaTorrents, increment } from './tables/arena.ts'
import { findPeer } from './tables/find-peer.ts'
import {
  COMPLETED_MAX,
  COMPLETION_COUNTED,
  PEER_RETURNED,
  STRIPE_COMPLETED,
  STRIPE_REFUSED,
  TORRENT_COMPLETED,
  TORRENT_WRITTEN,
} from './tables/layout.ts'
import {
  compactAt,
  detailAt,
  isCompletionCounted,
  isCompletionOwed,
  listOf,
  seederCount,
} from './tables/peer-list.ts'
import { randomBelow } from './tables/random.ts'
import { NO_SLOT, NO_TORRENT, type Slot, type TorrentRef } from './tables/references.ts'
import { isSourceFull } from './tables/source-counts.ts'
import { holdStripeOf, releaseStripe } from './tables/stripe.ts'
import { insertPeer, setSeeder } from './tables/swarm.ts'
import {
  addTorrent,
  findTorrent,
  markChanged,
  torrentCompleted,
  touchTorrent,
} from './tables/torrents.ts'
import { touchAnnounce } from './touch.ts'
import { isCrowded, writeDetails, writeIdentity, writePort } from './write-peer.ts'

/** Rounds of eviction for one announce before its peer is left out. */
const EVICTIONS_MAX = 2

/** Returned by `upsert` for a peer that a limit refuses. */
const TOO_MANY = -2
/** Returned by `upsert` for a peer whose network has its share of the memory. */
const BEYOND_SHARE = -3

/**
 * Answers one announce, whatever its protocol: if it is allowed, changes the swarm as the event
 * says and writes the reply record. The torrent's stripe is held meanwhile. Returns the length of
 * the reply.
 */
export function announce(engine: Engine, announce: Announce): number {
  const { access, held } = engine
  const { request, at, reply, replyAt } = announce
  reply.u8[replyAt + REPLY_FLAGS] = request.u8[at + FLAGS]!
  if (request.u8[at + EVENT] === Event.stopped) return stopAnnounced(engine, announce)
  const failure = checkAnnounce(engine, announce)
  if (failure !== Failure.none) {
    rememberCompleted(engine, announce)
    reply.u8[replyAt + FAILURE] = failure
    return REPLY_HEADER_BYTES
  }
  if (access.user !== 0) touchAnnounce(engine, announce)
  holdStripeOf(held, announce.hash)
  if (isOfDeadWorker(engine, announce)) return stopAnnounced(engine, announce, true)
  let torrent = findTorrent(held, announce.hash, request.view, at + INFO_HASH)
  if (access.user !== 0) {
    account(engine, announce, torrent)
    const { refusal } = engine.account
    if (refusal !== Failure.none) return refuse(engine, announce, refusal)
  }
  if (torrent === NO_TORRENT) {
    if (engine.limits.maxTorrents !== 0 && hasMaxTorrents(engine)) {
      return refuse(engine, announce, Failure.tooManyTorrents)
    }
    if (isBeyondShare(engine, announce)) return refuse(engine, announce, Failure.addressShare)
    torrent = makeTorrent(engine, announce)
    if (torrent === NO_TORRENT) return refuse(engine, announce, Failure.outOfMemory)
  }
  let slot = upsert(engine, announce, torrent)
  if (slot === TOO_MANY || slot === BEYOND_SHARE) {
    const { family, seeder } = announce.peer
    const failure = slot === TOO_MANY ? Failure.tooManyPeers : Failure.addressShare
    const isServed = engine.limits.serveExcessLeechers && !seeder && family !== Family.websocket
    if (isServed) return answerUnlisted(engine, announce, torrent, failure)
    return refuse(engine, announce, failure)
  }
  if (slot === NO_SLOT) return refuse(engine, announce, Failure.outOfMemory)
  if (expirePeers(engine, torrent, announce.nowSeconds) > 0) {
    const { peer } = announce
    slot = findPeer(held, listOf(held.arena, torrent, peer.family), peer)
  }
  const end =
    announce.peer.family === Family.websocket
      ? writeConnections(engine, announce, torrent, slot)
      : writePeers(engine, announce, torrent, slot)
  writeCounts(engine, announce, torrent)
  if (engine.events && request.u8[at + EVENT] === Event.started) {
    logEvent(engine.events, EventKind.started, access.user, announce)
  }
  releaseStripe(held)
  if (engine.ring !== undefined) writeAnnounceDelta(engine, engine.ring, false)
  writeInterval(engine, announce)
  return end - replyAt
}

/** The checks that do not need the torrent. */
function checkAnnounce({ access, limits, hashKey }: Engine, announce: Announce): Failure {
  const { at } = announce
  const { view } = announce.request
  return (
    (limits.isChecked ? checkLimits(limits, hashKey, announce) : Failure.none) ||
    checkKeys(access, view, at + KEY, at + USER_KEY) ||
    checkInfoHash(access, announce.hash, view, at + INFO_HASH)
  )
}

/**
 * Answers a `stopped`: no rule refuses it, because it only frees memory. The peer is removed and
 * its user credited, even if the key has expired, the user is not active or the torrent is no
 * longer listed. A client that may not announce does not receive the counts of the swarm. `isHeld`:
 * the caller holds the stripe. Returns the length of the reply.
 */
function stopAnnounced(engine: Engine, announce: Announce, isHeld = false): number {
  const { access, held, hashKey, limits } = engine
  const { request, at, nowSeconds } = announce
  const { view } = request
  takeRate(limits, hashKey, request, at, nowSeconds)
  const isAllowed =
    checkKeys(access, view, at + KEY, at + USER_KEY) === Failure.none &&
    checkInfoHash(access, announce.hash, view, at + INFO_HASH) === Failure.none
  access.user = findUser(access, view, at + USER_KEY)
  if (!isHeld) holdStripeOf(held, announce.hash)
  const torrent = findTorrent(held, announce.hash, view, at + INFO_HASH)
  engine.account.hasShared = false
  const isOwed = isAllowed && isOwedCompletion(engine, announce, torrent)
  if (access.user !== 0 && !isHeld) account(engine, announce, torrent)
  if (torrent !== NO_TORRENT) {
    if (isOwed) countOwed(engine, announce, torrent)
    stop(engine, announce, torrent)
    expirePeers(engine, torrent, nowSeconds)
    if (isAllowed) writeCounts(engine, announce, torrent)
    if (engine.events && !isHeld && (isAllowed || access.user !== 0)) {
      logEvent(engine.events, EventKind.stopped, access.user, announce)
    }
  }
  // While the stripe is held, so that the nodes thread knows of the stop when it adds peers.
  if (engine.ring !== undefined) writeAnnounceDelta(engine, engine.ring, true)
  releaseStripe(held)
  writeInterval(engine, announce)
  return REPLY_HEADER_BYTES
}

/** Counts the download of a peer that stops after its `completed` was refused. */
function countOwed(engine: Engine, announce: Announce, torrent: TorrentRef): void {
  const { access, held, ring, settings } = engine
  const isCounted = access.rules.users ? engine.account.counted : !isNewCompletion(engine, announce)
  if (isCounted) return
  countDownload(engine, torrent)
  if (engine.events) logEvent(engine.events, EventKind.completed, access.user, announce)
  if (settings.persistent) markChanged(held, torrent)
  if (ring !== undefined) writeDelta(ring, announce, DeltaBit.completed)
}

/** Writes the delta of the announce for other nodes; `stopped` if its peer is removed. */
function writeAnnounceDelta(engine: Engine, ring: DeltaRing, stopped: boolean): void {
  const { access, account, announce } = engine
  const withUser = access.rules.users && access.user !== 0
  const change = stopped ? DeltaBit.stopped : announce.completed ? DeltaBit.completed : 0
  if (!stopped && announce.isContinued) {
    countSkipped(ring)
    return
  }
  const isLeased = !stopped && announce.lease !== 0
  const kind = change | (withUser ? DeltaBit.user : isLeased ? DeltaBit.leased : 0)
  writeDelta(ring, announce, kind, withUser && account.hasShared ? account.shared : undefined)
}

/** Writes the interval with its jitter. */
function writeInterval({ random, settings }: Engine, { reply, replyAt }: Announce): void {
  const { interval, intervalJitterPercent } = settings
  const jitter = randomBelow(random, Math.floor((interval * intervalJitterPercent) / 100) + 1)
  reply.view.setUint32(replyAt + INTERVAL, interval + jitter, true)
}

/**
 * Whether the announce comes from a connection of a dead worker. Such an announce must not restore
 * a peer that is being removed. The caller holds the stripe: the peers are removed under its lock
 * after the worker was marked as dead.
 */
function isOfDeadWorker(engine: Engine, { request, at, peer }: Announce): boolean {
  if (peer.family !== Family.websocket) return false
  return isDead(engine.deadWorkers, request.view.getUint32(at + ADDRESS + CONNECTION_WORKER, true))
}

/**
 * Answers a leecher whose address has too many peers, in the torrent or in all. It is counted
 * against the limit and not added, so no other client connects to it, but it can connect to others:
 * it may be one of many households behind a carrier's NAT. Releases the stripe. Returns the length
 * of the reply.
 */
function answerUnlisted(
  engine: Engine,
  announce: Announce,
  torrent: TorrentRef,
  failure: Failure,
): number {
  limited(engine.limits, failure)
  const end = writePeers(engine, announce, torrent, NO_SLOT)
  writeCounts(engine, announce, torrent)
  releaseStripe(engine.held)
  writeInterval(engine, announce)
  return end - announce.replyAt
}

/** Releases the stripe and writes the failure of a limit. Returns the length of the reply. */
function refuse(engine: Engine, { reply, replyAt }: Announce, failure: Failure): number {
  releaseStripe(engine.held)
  reply.u8[replyAt + FAILURE] = limited(engine.limits, failure)
  return REPLY_HEADER_BYTES
}

/** Whether the network of a new peer has its share of the memory. Other nodes check their own. */
function isBeyondShare({ held, limits }: Engine, { isRemote, peer }: Announce): boolean {
  const { peersPerSource } = limits
  if (peersPerSource === 0 || isRemote) return false
  return isSourceFull(held, peer.family, peer.view, peer.addressAt, peersPerSource)
}

/** Threads that check at the same moment may each add one more torrent. */
function hasMaxTorrents({ arenas, limits }: Engine): boolean {
  let torrents = 0
  for (const arena of arenas) torrents += arenaTorrents(arena)
  return torrents >= limits.maxTorrents
}

/** Adds the announce's torrent; NO_TORRENT if memory is full. The stripe is held. */
export function makeTorrent(engine: Engine, announce: Announce): TorrentRef {
  const { held } = engine
  const { request, at, nowSeconds } = announce
  for (let round = 0; ; round++) {
    const torrent = addTorrent(held, announce.hash, request.view, at + INFO_HASH)
    if (torrent !== NO_TORRENT || !makeSpace(engine, NO_TORRENT, nowSeconds, round)) return torrent
  }
}

/** Removes the announcing peer from the torrent. The stripe is held. */
export function stop(engine: Engine, announce: Announce, torrent: TorrentRef): void {
  const { held } = engine
  const { family } = announce.peer
  const list = listOf(held.arena, torrent, family)
  const slot = findPeer(held, list, announce.peer)
  if (slot === NO_SLOT) return
  removeOwnedPeer(engine, torrent, family, slot)
  if (engine.settings.notePeers) markChanged(held, torrent)
}

/**
 * Counts a download of the torrent, up to COMPLETED_MAX. In a database that several nodes share,
 * the node that received the announce adds it to the torrent; or the write of the user's session
 * does. The stripe is held.
 */
export function countDownload(engine: Engine, torrent: TorrentRef): void {
  const { account, announce, held, sessions, settings } = engine
  const { arena, head } = held
  if (torrentCompleted(arena, torrent) === COMPLETED_MAX) return
  increment(arena, torrent + TORRENT_COMPLETED)
  const isOfSession = sessions.runs !== undefined && account.completed
  const isWrittenElsewhere = announce.isRemote || isOfSession
  if (settings.sharesDatabase && isWrittenElsewhere) increment(arena, torrent + TORRENT_WRITTEN)
  increment(arena, head + STRIPE_COMPLETED)
}

/**
 * Adds the peer or updates it. Returns its slot, NO_SLOT if memory is full, or TOO_MANY or
 * BEYOND_SHARE if a limit refuses it.
 */
export function upsert(
  engine: Engine,
  announce: Announce,
  torrent: TorrentRef,
): Slot | typeof TOO_MANY | typeof BEYOND_SHARE {
  const { access, settings, held } = engine
  const { arena } = held
  const { at, peer } = announce
  const { family, seeder } = peer
  let list = listOf(arena, torrent, family)
  let slot = findPeer(held, list, peer)
  if (slot === NO_SLOT) {
    if (isBeyondShare(engine, announce)) return BEYOND_SHARE
    if (isCrowded(engine, announce, list)) return TOO_MANY
  }
  touchTorrent(arena, torrent, announce.nowSeconds)
  const turned = slot === NO_SLOT || seeder !== slot < seederCount(arena, list)
  const before = slot === NO_SLOT ? 0 : detailAt(arena, list, family, slot)
  // Counts once each time that a peer becomes a seeder: an announce with `left` alone may overtake
  // the one with `completed`.
  const { users } = access.rules
  const { account } = engine
  const counted =
    (seeder && before !== 0 && isCompletionCounted(arena, before)) || (users && account.counted)
  const isOwed = before !== 0 && isCompletionOwed(arena, before)
  const isEvent = announce.request.u8[at + EVENT] === Event.completed
  const completed = users
    ? account.completed || (seeder && !counted && isOwed)
    : seeder && !counted && (isEvent || isOwed) && isNewCompletion(engine, announce)
  announce.completed = completed
  if (completed) {
    countDownload(engine, torrent)
    if (engine.events) logEvent(engine.events, EventKind.completed, access.user, announce)
  }
  if ((completed && settings.persistent) || (turned && settings.notePeers)) {
    markChanged(held, torrent)
  }
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
  const detail = detailAt(arena, list, family, slot)
  const isSame = writePort(engine, announce, list, slot, before === 0) && before !== 0 && !turned
  const owner =
    access.user |
    nextLease(engine, announce, detail, isSame && !completed) |
    (counted || completed ? COMPLETION_COUNTED : 0) |
    (before !== 0 ? PEER_RETURNED : 0)
  writeDetails(arena, detail, announce, owner)
  if (users && !account.hasEndpoint) attachPeer(engine, announce)
  return slot
}

/** Inserts the announcing peer; evicts others of the stripe if memory is full. */
function insert(engine: Engine, announce: Announce, torrent: TorrentRef): Slot {
  const { held } = engine
  for (let round = 0; ; round++) {
    const slot = insertPeer(held, torrent, announce.peer)
    if (slot !== NO_SLOT || !makeSpace(engine, torrent, announce.nowSeconds, round)) return slot
  }
}

/**
 * Frees memory in the held stripe after `round` vain attempts to insert; `torrent` stays. Returns
 * whether another attempt makes sense, and counts a refusal otherwise.
 */
function makeSpace(
  engine: Engine,
  torrent: TorrentRef,
  nowSeconds: number,
  round: number,
): boolean {
  if (round < EVICTIONS_MAX && evict(engine, torrent, nowSeconds)) return true
  increment(engine.held.arena, engine.held.head + STRIPE_REFUSED)
  return false
}
