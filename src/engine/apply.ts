import type { Bytes } from '../protocol/bytes.ts'
import {
  COUNT_BYTES,
  COUNTS_EVENT,
  COUNTS_UPLOADED,
  DELTA_ADDRESS,
  DELTA_ADDRESS_BYTES,
  DELTA_BITS,
  DELTA_COUNTS_BYTES,
  DELTA_FAMILY_BITS,
  DELTA_PORT,
  DELTA_SEEN,
  DeltaBit,
  deltaBytes,
  isExpiry,
  seenOf,
} from '../protocol/delta-record.ts'
import {
  ADDRESS,
  CLIENT_ADDRESS,
  CONNECTION_BYTES,
  EVENT,
  Event,
  FAMILY,
  Family,
  HASH_BYTES,
  INFO_HASH,
  IP_BYTES_MAX,
  LEFT,
  PORT,
  UPLOADED,
  USER_KEY,
} from '../protocol/records.ts'
import { readSessionTotals, SESSION_TOTALS_BYTES } from '../protocol/session-totals.ts'
import { findUser } from './access.ts'
import { account } from './account.ts'
import { countDownload, makeTorrent, stop, upsert } from './announce.ts'
import type { Applier, DeltaBytes } from './applier.ts'
import { applyExpiry, removeUnlessLater } from './apply-expiry.ts'
import { readAnnounce } from './current-announce.ts'
import type { Engine } from './engine.ts'
import { isNewCompletion } from './new-completion.ts'
import { renewPeer } from './renew-peer.ts'
import { joinSession } from './shared-sessions.ts'
import type { Arena } from './tables/arena.ts'
import { copyWords } from './tables/copy-words.ts'
import { findPeer, findPeerOf } from './tables/find-peer.ts'
import { COMPLETION_COUNTED, DETAIL_USER, TORRENT_WRITTEN } from './tables/layout.ts'
import { isOwnLease, ownLease, wordAt } from './tables/lease.ts'
import { detailAt, isCompletionCounted, lastSeen, listOf, seederCount } from './tables/peer-list.ts'
import { NO_SLOT, NO_TORRENT, type TorrentRef } from './tables/references.ts'
import { holdStripeOf, releaseStripe } from './tables/stripe.ts'
import { findTorrent, markChanged } from './tables/torrents.ts'

/** Whether whole deltas of known kinds fill the bytes from `at` to `end`, `count` of them. */
export function areDeltas(u8: Uint8Array, at: number, end: number, count: number): boolean {
  let found = 0
  let next = at
  while (next < end) {
    const bytes = deltaBytes(u8[next]!)
    if (bytes === 0) return false
    next += bytes
    found++
  }
  return next === end && found === count
}

/** A peer is leased, unless the delta is of a user, whose session has that bit. */
const LEASED_BITS = DeltaBit.leased | DeltaBit.user

/**
 * Applies the delta at `at`, which `areDeltas` has checked, and returns its length. It was made at
 * most DELTA_AGE_MAX seconds before `base`. A peer that the tables know from a later announce, or
 * that has stopped since, stays as it is: deltas of several nodes may arrive in any order. Limits
 * are not checked again, because the first node did that.
 */
export function applyDelta(
  applier: Applier,
  { bytes, view }: DeltaBytes,
  at: number,
  base: number,
): number {
  const { aheadSeconds, engine, counts, request, nowSeconds } = applier
  const { access, announce, held } = engine
  const bits = bytes[at + DELTA_BITS]!
  const length = deltaBytes(bits)
  if (isExpiry(bits)) {
    applyExpiry(applier, { bytes, view }, at)
    return length
  }
  // A clock that is ahead must not keep a peer for longer than the timeout.
  const seen = Math.min(nowSeconds, seenOf(bytes[at + DELTA_SEEN]!, base) - aheadSeconds)
  const lease = (bits & LEASED_BITS) !== DeltaBit.leased || access.rules.users ? 0 : applier.lease
  const isRecent = seen >= nowSeconds - engine.settings.peersTimeout
  if (isRecent && renewPeer(applier, view, at, seen, lease)) return length
  const torrent = holdTorrentOf(applier, view, at, seen)
  announce.lease = lease
  access.user = (bits & DeltaBit.user) === 0 ? 0 : findUser(access, request.view, USER_KEY)
  const sessionAt = at + length - SESSION_TOTALS_BYTES
  const hasSession =
    access.user !== 0 &&
    (bits & DeltaBit.session) !== 0 &&
    readSessionTotals(view, sessionAt, engine.account.remote)
  if (!hasSession) access.user = 0
  if (!isRecent) {
    if (hasSession) joinSession(engine, announce)
    releaseStripe(held)
    counts.expired++
    // A transfer reports that a peer timed out as a stop after its last announce.
    if ((bits & DeltaBit.stopped) !== 0) removeUnlessLater(applier, view, at, seen)
    return length
  }
  const isNews = isNewer(applier, bytes, at, torrent)
  const isDownload = (bits & DeltaBit.completed) !== 0
  let isCounted = false
  if (isNews) isCounted = change(engine, torrent)
  else {
    const isCompletion = hasSession && joinSession(engine, announce)
    if (isDownload) isCounted = countLate(engine, torrent, isCompletion)
  }
  if (isDownload && !isCounted) takeBack(applier, bytes, at, torrent)
  releaseStripe(held)
  if ((bits & DeltaBit.stopped) !== 0) applier.stops.note(bytes, at, seen, applier.from)
  if (isNews) counts.applied++
  else counts.older++
  return length
}

/** Whether the tables have the peer of the delta at `at` from the Unix second `seen` or later. */
export function isKnownSince(applier: Applier, view: DataView, at: number, seen: number): boolean {
  const { held } = applier.engine
  const torrent = holdTorrentOf(applier, view, at, seen)
  const detail = detailOf(applier.engine, torrent)
  const known = detail === 0 ? 0 : lastSeen(held.arena, detail)
  releaseStripe(held)
  return known >= seen
}

/** Makes the delta the current announce, holds the stripe of its torrent, and finds the torrent. */
function holdTorrentOf(
  { engine, request }: Applier,
  view: DataView,
  at: number,
  seen: number,
): TorrentRef {
  const { announce, held } = engine
  readDelta(request, view, at, view.getUint8(at + DELTA_BITS))
  announce.request = request
  announce.at = 0
  announce.nowSeconds = seen
  announce.isRemote = true
  readAnnounce(announce, engine.hashKey)
  holdStripeOf(held, announce.hash)
  return findTorrent(held, announce.hash, request.view, INFO_HASH)
}

/** Offset of the details of the peer of the current announce; 0 for an unknown one. */
function detailOf({ announce: { peer }, held }: Engine, torrent: TorrentRef): number {
  const slot = findPeerOf(held, torrent, peer)
  if (slot === NO_SLOT) return 0
  return detailAt(held.arena, listOf(held.arena, torrent, peer.family), peer.family, slot)
}

/** Makes an announce request of the delta. */
function readDelta({ u8, view }: Bytes, from: DataView, at: number, bits: number): void {
  const family = (bits & DELTA_FAMILY_BITS) as Family
  const stopped = (bits & DeltaBit.stopped) !== 0
  u8[FAMILY] = family
  u8[EVENT] = stopped
    ? Event.stopped
    : (bits & DeltaBit.completed) !== 0
      ? Event.completed
      : Event.none
  view.setUint16(PORT, from.getUint16(at + DELTA_PORT, true), true)
  let next = at + DELTA_ADDRESS
  const isWebsocket = family === Family.websocket
  next += copyWords(
    view,
    ADDRESS,
    from,
    next,
    isWebsocket ? CONNECTION_BYTES : DELTA_ADDRESS_BYTES[family],
  )
  if (isWebsocket) next += copyWords(view, CLIENT_ADDRESS, from, next, IP_BYTES_MAX)
  next += copyWords(view, INFO_HASH, from, next, 2 * HASH_BYTES)
  for (let n = UPLOADED; n < LEFT + 8; n += 4) view.setInt32(n, 0)
  if ((bits & DeltaBit.counts) !== 0) {
    for (let field = 0; field < 3; field++) {
      view.setUint32(
        UPLOADED + field * 8,
        from.getUint32(next + COUNTS_UPLOADED + field * COUNT_BYTES, true),
        true,
      )
      view.setUint32(
        UPLOADED + field * 8 + 4,
        from.getUint16(next + COUNTS_UPLOADED + field * COUNT_BYTES + 4, true),
        true,
      )
    }
    u8[EVENT] = from.getUint8(next + COUNTS_EVENT)
    next += DELTA_COUNTS_BYTES
  } else if ((bits & DeltaBit.seeder) === 0) view.setUint32(LEFT, LEFT_UNKNOWN, true)
  if ((bits & DeltaBit.user) !== 0) copyWords(view, USER_KEY, from, next, HASH_BYTES)
}

/** Bytes left of a leecher whose delta has no counts. */
const LEFT_UNKNOWN = 1

/** Whether the announce is not older than what is known of its peer. The stripe is held. */
function isNewer(applier: Applier, bytes: Buffer, at: number, torrent: TorrentRef): boolean {
  const { engine, from, place, stops } = applier
  const { announce, held, leases } = engine
  const { nowSeconds: seen, peer } = announce
  const detail = detailOf(engine, torrent)
  if (detail !== 0) {
    const known = lastSeen(held.arena, detail)
    if (known === seen && isOwnLease(wordAt(held.arena, detail))) announce.lease = ownLease(leases)
    return known <= seen
  }
  place.bytes = bytes
  place.family = peer.family
  place.address = at + DELTA_ADDRESS
  place.hash = place.address + DELTA_ADDRESS_BYTES[peer.family]
  place.id = place.hash + HASH_BYTES
  applier.readStops()
  return !stops.hasStopped(place, seen, from)
}

/**
 * Changes the swarm as the announce says, and returns whether it counted as a download. The stripe
 * is held.
 */
function change(engine: Engine, torrent: TorrentRef): boolean {
  const { access, announce } = engine
  announce.completed = false
  if (access.rules.users) {
    if (access.user === 0) forgetAccount(engine)
    else account(engine, announce, torrent)
    if (announce.request.u8[EVENT] !== Event.completed) engine.account.completed = false
  }
  if (announce.request.u8[EVENT] === Event.stopped) {
    if (torrent !== NO_TORRENT) stop(engine, announce, torrent)
    return false
  }
  const target = torrent === NO_TORRENT ? makeTorrent(engine, announce) : torrent
  if (target !== NO_TORRENT) upsert(engine, announce, target)
  return announce.completed
}

/**
 * Notes the downloads among the deltas of this node from `at` to `end`, which were made just before
 * `base`.
 */
export function noteDownloads(
  applier: Applier,
  { bytes, view }: DeltaBytes,
  at: number,
  end: number,
  base: number,
): void {
  const { completions, engine } = applier
  for (let next = at; next < end; next += deltaBytes(bytes[next]!)) {
    if ((bytes[next]! & DeltaBit.completed) === 0) continue
    if (!completions.note(bytes, next, base)) continue
    const torrent = holdTorrentOf(applier, view, next, base)
    if (torrent !== NO_TORRENT) writtenElsewhere(engine, torrent)
    releaseStripe(engine.held)
  }
}

/**
 * Two nodes have counted the same download, which only one of them may add to the database that
 * they share: the one whose name comes first. Takes back the count of the other one, if it is this
 * one, even after it was written. With users, the writes of their sessions do the same. The stripe
 * is held.
 */
function takeBack(applier: Applier, bytes: Buffer, at: number, torrent: TorrentRef): void {
  const { completions, engine, from, name, nowSeconds } = applier
  if (!engine.settings.sharesDatabase || engine.access.rules.users || from > name) return
  if (torrent === NO_TORRENT || !completions.take(bytes, at, nowSeconds)) return
  writtenElsewhere(engine, torrent)
}

/** One download that this node counted is in the database, or will be. The stripe is held. */
function writtenElsewhere({ held, settings }: Engine, torrent: TorrentRef): void {
  held.arena.u32[(torrent + TORRENT_WRITTEN) >> 2]! += 1
  if (settings.persistent) markChanged(held, torrent)
}

/**
 * Counts the download of an announce that arrived after a later one of its peer. Returns false for
 * one that is counted already.
 */
function countLate(engine: Engine, known: TorrentRef, isCompletion: boolean): boolean {
  const { access, announce, held, settings } = engine
  const torrent = known === NO_TORRENT ? makeTorrent(engine, announce) : known
  if (torrent === NO_TORRENT) return false
  const { arena } = held
  if (access.rules.users) {
    if (!isCompletion) return false
  } else {
    const { family } = announce.peer
    const list = listOf(arena, torrent, family)
    const slot = findPeer(held, list, announce.peer)
    const detail = slot === NO_SLOT ? 0 : detailAt(arena, list, family, slot)
    if (detail !== 0 && isCompletionCounted(arena, detail)) return false
    if (!isNewCompletion(engine, announce)) return false
    if (detail !== 0 && slot < seederCount(arena, list)) setCompletionCounted(arena, detail)
  }
  countDownload(engine, torrent)
  if (settings.persistent) markChanged(held, torrent)
  return true
}

function setCompletionCounted({ u16 }: Arena, detail: number): void {
  u16[(detail + DETAIL_USER + 2) >> 1]! |= COMPLETION_COUNTED >>> 16
}

/** A peer without a known user belongs to no session. */
function forgetAccount({ account }: Engine): void {
  account.completed = false
  account.counted = false
  account.hasEndpoint = true
  account.hasOthers = false
}
