import type { Link } from '../../link/link.ts'
import type { Bytes } from '../../protocol/bytes.ts'
import {
  ADDRESS,
  ANNOUNCE_BYTES,
  CONNECTION_SOCKET,
  CONNECTION_WORKER,
  HASH_BYTES,
  Kind,
} from '../../protocol/records.ts'
import { writePeerRecord } from '../../protocol/websocket/message.ts'
import { LEAVE_RETRY_MILLIS } from './limits.ts'
import type { PeerName } from './session.ts'

/** Takes the peers of closed sockets out of the swarms, for as long as it takes to tell the engine. */
export type Leaving = {
  /** Peers that the engine has not confirmed to be gone. */
  readonly waiting: number
  leave(socket: number, peers: Iterable<PeerName>): void
  close(): void
}

/** Writes a connection's number as the peer address of the record at `at`. */
export function writeConnection(into: Bytes, at: number, worker: number, socket: number): void {
  into.view.setUint32(at + ADDRESS + CONNECTION_WORKER, worker, true)
  into.view.setUint32(at + ADDRESS + CONNECTION_SOCKET, socket, true)
}

/** What cannot be told now is tried again: what waits was announced before, and so is bounded by the limits on sockets. */
export function createLeaving(link: Link, worker: number): Leaving {
  let left: (readonly [socket: number, peer: PeerName])[] = []
  let timer: NodeJS.Timeout | undefined
  let inFlight = 0
  let closed = false

  function later(socket: number, peer: PeerName): void {
    if (closed) return
    left.push([socket, peer])
    timer ??= setTimeout(retry, LEAVE_RETRY_MILLIS)
  }

  function retry(): void {
    timer = undefined
    const again = left
    left = []
    for (const [socket, peer] of again) tell(socket, peer)
  }

  function tell(socket: number, peer: PeerName): void {
    const at = link.reserve(ANNOUNCE_BYTES)
    if (at === -1) {
      later(socket, peer)
      return
    }
    const infoHash = peer.slice(0, HASH_BYTES)
    writePeerRecord(Kind.leave, infoHash, peer.slice(HASH_BYTES), link.open, at)
    writeConnection(link.open, at, worker, socket)
    inFlight++
    link.submit(at, ANNOUNCE_BYTES, {
      reply: () => {
        inFlight--
      },
      fail: () => {
        inFlight--
        later(socket, peer)
      },
    })
  }

  return {
    get waiting() {
      return inFlight + left.length
    },
    leave(socket, peers) {
      for (const peer of peers) tell(socket, peer)
    },
    close() {
      closed = true
      clearTimeout(timer)
    },
  }
}
