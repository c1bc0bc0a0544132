import { CLIENT_ADDRESS, Family, IP_BYTES_MAX } from '../protocol/records.ts'
import type { Announce } from './current-announce.ts'
import type { Engine } from './engine.ts'
import { noteCompletion } from './tables/completions.ts'
import { hashPeer } from './tables/keyed-hash.ts'
import { PEER_ADDRESS } from './tables/layout.ts'

/** Whether a download counts: not if the same peer completed the torrent within the last day. */
export function isNewCompletion({ held, limits }: Engine, announce: Announce): boolean {
  if (!limits.completedOncePerDay) return true
  const { hash, nowSeconds, peer } = announce
  const { view, idAt, addressAt, family } = peer
  // A WebSocket peer has a new connection each time: its client's address counts.
  const isWebsocket = family === Family.websocket
  const from = isWebsocket ? announce.at + CLIENT_ADDRESS : addressAt
  const bytes = isWebsocket ? IP_BYTES_MAX : PEER_ADDRESS[family]
  const identity = hashPeer(held.hashKey, view, idAt, from, bytes)
  return noteCompletion(limits.completions, identity ^ Math.imul(hash, 0x85ebca6b), nowSeconds)
}
