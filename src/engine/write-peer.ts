import {
  ADDRESS,
  CLIENT_ADDRESS,
  COMPACT_BYTES,
  CONNECTION_CLIENT,
  Family,
  HASH_BYTES,
  PEER_ID,
  PORT,
  PORT_BYTES,
  UPLOADED,
} from '../protocol/records.ts'
import type { Announce } from './current-announce.ts'
import type { Engine } from './engine.ts'
import type { Arena } from './tables/arena.ts'
import { copyWords } from './tables/copy-words.ts'
import { clearSurvey, hasManyOf, surveyAddress } from './tables/count-address.ts'
import {
  DETAIL_PEER_ID,
  DETAIL_SEEN,
  DETAIL_UPLOADED,
  DETAIL_USER,
  PEER_ADDRESS,
} from './tables/layout.ts'
import { compactAt, peerCount } from './tables/peer-list.ts'
import { type ListRef, NO_SLOT, type Slot } from './tables/references.ts'

/** Writes the parts that do not change while a peer is known: address and peer id. */
export function writeIdentity(
  { view }: Arena,
  compact: number,
  detail: number,
  { request, at, peer }: Announce,
): void {
  copyWords(view, compact, request.view, at + ADDRESS, PEER_ADDRESS[peer.family])
  if (peer.family === Family.websocket) {
    copyWords(view, compact + CONNECTION_CLIENT, request.view, at + CLIENT_ADDRESS, 16)
  }
  copyWords(view, detail + DETAIL_PEER_ID, request.view, at + PEER_ID, HASH_BYTES)
}

/**
 * Maximum number of visible peers of one address in a list that has others, too, with limits on.
 */
const VISIBLE_PER_ADDRESS = 4

/**
 * Whether the address of a new peer already has its share of the list. `findPeer` did not find
 * the peer. Surveys the list for `writePort`, so that a new peer costs one pass over it.
 */
export function isCrowded(engine: Engine, announce: Announce, list: ListRef): boolean {
  const { held, limits, survey } = engine
  const { request, at, peer } = announce
  const bound = announce.isRemote ? 0 : limits.peersPerAddress
  if (peer.family === Family.websocket) {
    return bound !== 0 && hasManyOf(held, list, peer, at + CLIENT_ADDRESS, bound)
  }
  if (peer.mayShareAddress) {
    surveyAddress(held, list, peer, request.view.getUint16(at + PORT, true), NO_SLOT, survey)
  } else clearSurvey(survey)
  return bound !== 0 && survey.count >= bound
}

/**
 * Writes the peer's port, or 0 to hide the peer from responses. A visible peer with the same port
 * stays visible. `isCrowded` has surveyed the list for a new peer. Returns whether the port was and
 * stays visible.
 */
export function writePort(
  engine: Engine,
  announce: Announce,
  list: ListRef,
  slot: Slot,
  isNew: boolean,
): boolean {
  const { arena } = engine.held
  const { request, at, peer } = announce
  const port = request.view.getUint16(at + PORT, true)
  const portAt = compactAt(arena, list, peer.family, slot) + COMPACT_BYTES[peer.family] - PORT_BYTES
  if (port !== 0 && arena.view.getUint16(portAt) === port) return true
  if (peer.family !== Family.websocket && !isNew) {
    surveyAddress(engine.held, list, peer, port, slot, engine.survey)
  }
  const isShown = peer.family === Family.websocket || isVisible(engine, list, port)
  arena.view.setUint16(portAt, isShown ? port : 0)
  return false
}

/**
 * Whether responses may contain the surveyed peer: not if another one has the same address and
 * port, and, with limits on, not if its address has its share of the visible peers.
 */
function isVisible({ held, limits, survey }: Engine, list: ListRef, port: number): boolean {
  if (port === 0 || survey.hasEndpoint) return false
  if (limits.peersPerAddress === 0 || survey.count < VISIBLE_PER_ADDRESS) return true
  return survey.count + 1 === peerCount(held.arena, list)
}

/**
 * Writes what an announce says anew each time. `owner` is the user's number, or the lease, with the
 * other bits of DETAIL_USER.
 */
export function writeDetails(
  { view }: Arena,
  detail: number,
  announce: Announce,
  owner: number,
): void {
  const { at, nowSeconds } = announce
  const from = announce.request.view
  for (let field = 0; field < 3; field++) {
    copyWords(view, detail + DETAIL_UPLOADED + field * 6, from, at + UPLOADED + field * 8, 6)
  }
  view.setInt32(detail + DETAIL_SEEN, nowSeconds, true)
  view.setInt32(detail + DETAIL_USER, owner, true)
}
