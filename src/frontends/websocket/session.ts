import type { Failure, FailureAnswers } from '../../protocol/failures.ts'
import type { IpFamily } from '../../protocol/records.ts'
import type { WebSocket } from '../adapter.ts'
import {
  MESSAGES_AT_ONCE_MAX,
  MESSAGES_PER_SECOND,
  OFFER_SECONDS_MAX,
  OFFERS_AWAITED_MAX,
  TORRENTS_PER_SOCKET_MAX,
} from './limits.ts'
import type { OfferOrigin } from './relay.ts'

/** What the request for a socket said, which holds for all that is announced over it. */
export type Arrival = {
  readonly family: IpFamily
  /** Address of the client, 16 bytes, IPv4 mapped. */
  readonly client: Uint8Array
  /** The same as a string. */
  readonly name: string
  /** The keys of its path, KEY and USER_KEY of a record, and what is wrong with them. */
  readonly keys: Uint8Array
  readonly keyFailure: Failure
  /** Seconds between announces. */
  readonly interval: number
  readonly failures: FailureAnswers
  /** Which of the process's listeners it came in on. */
  readonly route: object
  /** Set when it is open. */
  connection: Connection | undefined
}

/** A peer of a torrent, as its 20-byte info hash and its 20-byte id. */
export type PeerName = string

export function peerName(infoHash: string, peerId: string): PeerName {
  return infoHash + peerId
}

/** An open socket, the torrents announced over it, and the offers that it was passed and has not answered. */
export type Connection = {
  /** In this process; not given again. */
  readonly number: number
  readonly socket: WebSocket<Arrival>
  readonly arrival: Arrival
  readonly peers: ReadonlySet<PeerName>
  isClosed: boolean
  /** Counts a message that came, or as many as `cost`. False when they are too many. */
  spend(cost: number, nowSeconds: number): boolean
  /** False when there are too many torrents. */
  join(peer: PeerName): boolean
  leave(peer: PeerName): void
  /** Notes where the answer to an offer goes. */
  awaitAnswer(infoHash: string, from: OfferOrigin, nowSeconds: number): void
  /** Who made the offer that is answered, once; undefined when the socket was not passed it lately. */
  takeOffer(infoHash: string, toPeerId: string, offerId: string): OfferOrigin | undefined
}

export function createConnection(
  number: number,
  socket: WebSocket<Arrival>,
  nowSeconds: number,
): Connection {
  const peers = new Set<PeerName>()
  const awaited = new Map<string, { readonly from: OfferOrigin; readonly since: number }>()
  let allowance = MESSAGES_AT_ONCE_MAX
  let allowedAt = nowSeconds
  const keyOf = (infoHash: string, peerId: string, offerId: string) => infoHash + peerId + offerId

  return {
    number,
    socket,
    arrival: socket.getUserData(),
    peers,
    isClosed: false,
    spend(cost, now) {
      const earned = (now - allowedAt) * MESSAGES_PER_SECOND
      allowance = Math.min(MESSAGES_AT_ONCE_MAX, allowance + earned) - cost
      allowedAt = now
      return allowance >= 0
    },
    join(peer) {
      if (peers.size >= TORRENTS_PER_SOCKET_MAX && !peers.has(peer)) return false
      peers.add(peer)
      return true
    },
    leave(peer) {
      peers.delete(peer)
    },
    awaitAnswer(infoHash, from, now) {
      for (const [key, { since }] of awaited) {
        if (awaited.size < OFFERS_AWAITED_MAX && now - since < OFFER_SECONDS_MAX) break
        awaited.delete(key)
      }
      awaited.set(keyOf(infoHash, from.peerId, from.offerId), { from, since: now })
    },
    takeOffer(infoHash, toPeerId, offerId) {
      const key = keyOf(infoHash, toPeerId, offerId)
      const found = awaited.get(key)
      awaited.delete(key)
      return found?.from
    },
  }
}
