import type { Failure, FailureAnswers } from '../../protocol/failures.ts'
import type { TrackerPaths } from '../../protocol/http/path.ts'
import type { IpFamily } from '../../protocol/records.ts'
import type { WebSocket } from '../adapter.ts'
import type { ProxyRules } from '../client-address.ts'
import { AwaitedOffers } from './awaited-offers.ts'
import type { AddressUse } from './client-addresses.ts'
import { PEER_IDS_PER_TORRENT_MAX, WAITING_BYTES_PER_SOCKET_MAX } from './limits.ts'
import { TokenBucket } from './token-bucket.ts'

/** Rules of the listener that a socket arrived on. */
export type WebsocketRoute = {
  readonly proxies: ProxyRules
  readonly paths: TrackerPaths
  /** Seconds between a client's announces. */
  readonly interval: number
  /** Texts and intervals of failures. */
  readonly failures: FailureAnswers
}

/** The facts of the request for a WebSocket. They apply to every message of the socket. */
export type Handshake = {
  readonly family: IpFamily
  /** Address of the client, 16 bytes; IPv4 is mapped. */
  readonly client: Uint8Array
  /** The address by which sockets are counted; see countedAddress. */
  readonly counted: string
  /**
   * The keys of the path, laid out as KEY and USER_KEY of a record, and the reason if they are
   * refused.
   */
  readonly keys: Uint8Array
  readonly keyFailure: Failure
  /** The same for scrapes, which may need fewer keys. */
  readonly scrapeKeyFailure: Failure
  /** The listener that the request arrived on. */
  readonly route: WebsocketRoute
  /** Set once the socket is open. */
  session: Session | undefined
}

/** A peer of a torrent, by its 20-byte info hash and peer id, a character for each byte. */
export type PeerName = { readonly infoHash: string; readonly peerId: string }

/** An open WebSocket: the peers announced over it, and its share of the process's resources. */
export class Session {
  /** Unique in this process. */
  readonly number: number
  readonly socket: WebSocket<Handshake>
  readonly handshake: Handshake
  readonly use: AddressUse
  readonly messages = new TokenBucket()
  /** Messages dropped because too many wait. */
  readonly drops = new TokenBucket()
  /** Answers to dropped messages. */
  readonly dropAnswers = new TokenBucket()
  /** Messages that cannot be parsed. */
  readonly faults = new TokenBucket()
  /** Offers relayed for this socket. */
  readonly offers = new TokenBucket()
  /** Offers relayed to this socket whose answers are awaited. */
  readonly awaited = new AwaitedOffers()
  isClosed = false
  /** Seconds of a monotonic clock. */
  lastReceivedAt: number
  lastPingAt: number
  /** Peer ids by info hash. Usually there is one, which is stored without a list. */
  readonly #peers = new Map<string, string | string[]>()
  /** One copy of each peer id. */
  readonly #peerIds = new Map<string, string>()
  #peerCount = 0
  #waiting: string[] = []
  #nextWaiting = 0
  #waitingBytes = 0

  constructor(number: number, socket: WebSocket<Handshake>, use: AddressUse, now: number) {
    this.number = number
    this.socket = socket
    this.handshake = socket.getUserData()
    this.use = use
    this.lastReceivedAt = now
    this.lastPingAt = now
  }

  get peerCount(): number {
    return this.#peerCount
  }

  has(infoHash: string, peerId: string): boolean {
    const ids = this.#peers.get(infoHash)
    return ids === peerId || (typeof ids === 'object' && ids.includes(peerId))
  }

  /** Adds a peer. Returns false when the torrent has too many peer ids of this socket. */
  join(infoHash: string, peerId: string): boolean {
    const ids = this.#peers.get(infoHash)
    const id = this.#peerIds.get(peerId) ?? peerId
    if (ids === undefined) this.#peers.set(infoHash, id)
    else if (typeof ids === 'string') this.#peers.set(infoHash, [ids, id])
    else if (ids.length >= PEER_IDS_PER_TORRENT_MAX) return false
    else ids.push(id)
    this.#peerIds.set(id, id)
    this.#peerCount++
    this.use.torrents++
    return true
  }

  leave(infoHash: string, peerId: string): void {
    const ids = this.#peers.get(infoHash)
    if (ids === undefined || !this.has(infoHash, peerId)) return
    const rest = typeof ids === 'string' ? [] : ids.filter(id => id !== peerId)
    const [first] = rest
    if (first === undefined) this.#peers.delete(infoHash)
    else this.#peers.set(infoHash, rest.length === 1 ? first : rest)
    if (this.#peers.size === 0) this.#peerIds.clear()
    this.#peerCount--
    this.use.torrents--
  }

  /** All peers announced over this socket. */
  *peers(): Generator<PeerName> {
    for (const [infoHash, ids] of this.#peers) {
      for (const peerId of typeof ids === 'string' ? [ids] : ids) yield { infoHash, peerId }
    }
  }

  get hasWaiting(): boolean {
    return this.#nextWaiting < this.#waiting.length
  }

  /** Appends a message that exceeds the rate. Returns false when too many bytes wait. */
  wait(text: string): boolean {
    if (this.#waitingBytes + text.length > WAITING_BYTES_PER_SOCKET_MAX) return false
    this.#waiting.push(text)
    this.#waitingBytes += text.length
    this.use.waitingBytes += text.length
    return true
  }

  /** Removes and returns the oldest waiting message. */
  nextWaiting(): string | undefined {
    const text = this.#waiting[this.#nextWaiting]
    if (text === undefined) return undefined
    this.#waiting[this.#nextWaiting++] = ''
    this.#waitingBytes -= text.length
    this.use.waitingBytes -= text.length
    if (!this.hasWaiting) {
      this.#waiting = []
      this.#nextWaiting = 0
    }
    return text
  }

  /**
   * Releases the session's share of its address when the socket has closed. Returns waiting bytes.
   */
  release(): number {
    this.isClosed = true
    this.use.torrents -= this.#peerCount
    this.use.waitingBytes -= this.#waitingBytes
    this.#waiting = []
    this.#nextWaiting = 0
    const bytes = this.#waitingBytes
    this.#waitingBytes = 0
    return bytes
  }
}
