import type { Link } from '../../link/link.ts'
import type { Bytes } from '../../protocol/bytes.ts'
import {
  ADDRESS,
  ANNOUNCE_BYTES,
  CONNECTION_SOCKET,
  CONNECTION_WORKER,
  Kind,
} from '../../protocol/records.ts'
import { writePeerRecord } from '../../protocol/websocket/message.ts'
import { LEAVE_RETRY_MILLIS } from './limits.ts'
import type { PeerName } from './session.ts'

/** Writes the number of a connection as the peer address of the record at `at`. */
export function writeConnection(into: Bytes, at: number, worker: number, socket: number): void {
  into.view.setUint32(at + ADDRESS + CONNECTION_WORKER, worker, true)
  into.view.setUint32(at + ADDRESS + CONNECTION_SOCKET, socket, true)
}

/**
 * Removes peers from the swarms when their connection has closed or they have stopped. A removal
 * that the engine does not confirm is sent again. Each peer was announced before, so the limits on
 * sockets bound their number.
 */
export class Removal {
  readonly #link: Link
  readonly #worker: number
  #unsent: (readonly [socket: number, peer: PeerName])[] = []
  #timer: NodeJS.Timeout | undefined
  #inFlight = 0
  #isClosed = false

  constructor(link: Link, worker: number) {
    this.#link = link
    this.#worker = worker
  }

  /** Removals that the engine has not confirmed. */
  get waiting(): number {
    return this.#inFlight + this.#unsent.length
  }

  /** Removes a peer that was announced over the socket of this number. */
  remove(socket: number, peer: PeerName) {
    const link = this.#link
    const at = link.reserve(ANNOUNCE_BYTES)
    if (at === -1) return this.#retryLater(socket, peer)
    writePeerRecord(Kind.leave, peer.infoHash, peer.peerId, link.open, at)
    writeConnection(link.open, at, this.#worker, socket)
    this.#inFlight++
    link.submit(at, ANNOUNCE_BYTES, {
      reply: () => {
        this.#inFlight--
      },
      fail: () => {
        this.#inFlight--
        this.#retryLater(socket, peer)
      },
    })
  }

  close(): void {
    this.#isClosed = true
    clearTimeout(this.#timer)
  }

  #retryLater(socket: number, peer: PeerName): void {
    if (this.#isClosed) return
    this.#unsent.push([socket, peer])
    this.#timer ??= setTimeout(() => this.#retry(), LEAVE_RETRY_MILLIS)
  }

  #retry(): void {
    this.#timer = undefined
    const unsent = this.#unsent
    this.#unsent = []
    for (const [socket, peer] of unsent) this.remove(socket, peer)
  }
}
