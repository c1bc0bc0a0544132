import type { Rate } from '../frontends/websocket/limits.ts'
import { makeRecent } from '../frontends/websocket/recent-entries.ts'
import type { Relayed } from '../frontends/websocket/relay.ts'
import { TokenBucket } from '../frontends/websocket/token-bucket.ts'
import { nodeOfWorker, WORKER_IDS, workerOfNode } from '../protocol/connection.ts'
import type { Bus } from './bus.ts'
import type { NodeCounters } from './messages.ts'
import { RELAY_BYTES_MAX, readRelayMessage, writeRelayMessage } from './relay-message.ts'
import type { RemoteSockets, Run } from './remote-sockets.ts'

export type SocketRelayOptions = {
  readonly bus: Bus
  /** Name and epoch of this node. */
  readonly name: string
  readonly epoch: number
  readonly sockets: Pick<RemoteSockets, 'numbered'>
  /** The run of a node that is up; undefined for any other. */
  readonly runOf: (node: string, epoch: number) => Run | undefined
  readonly subjectOf: (node: string) => string
  /** Passes a message to a worker of this node. Returns false when it is dropped. */
  readonly deliver: (message: Relayed) => boolean
  readonly counters: NodeCounters
}

/**
 * Bytes that are sent to other nodes: offers, those whose makers have one address, and answers,
 * which offers thus cannot displace. They also bound what waits for a NATS server that hangs.
 */
const OFFERS: Rate = { burst: 16 * 2 ** 20, perSecond: 8 * 2 ** 20 }
const OFFERS_PER_ADDRESS: Rate = { burst: 4 * 2 ** 20, perSecond: 2 * 2 ** 20 }
const ANSWERS: Rate = { burst: 8 * 2 ** 20, perSecond: 4 * 2 ** 20 }

/** Addresses of makers that are remembered; the least recent is forgotten. */
const ADDRESSES_MAX = 4096

/**
 * Relays offers and answers between the WebSocket peers of this node and those of other nodes. A
 * message that cannot be sent at once is dropped.
 */
export class SocketRelay {
  readonly #options: SocketRelayOptions
  readonly #offers = new TokenBucket()
  readonly #answers = new TokenBucket()
  readonly #addresses = new Map<string, TokenBucket>()

  constructor(options: SocketRelayOptions) {
    this.#options = options
  }

  /** Sends a message of a worker of this node to the node that its peer is connected to. */
  send(message: Relayed): void {
    const { bus, counters, epoch, name, sockets, subjectOf } = this.#options
    const run = sockets.numbered(nodeOfWorker(message.worker))
    if (!run || !bus.isUp) {
      counters.unreachableRelays++
      return
    }
    const data = writeRelayMessage({
      from: name,
      fromEpoch: epoch,
      toEpoch: run.epoch,
      message: { ...message, worker: message.worker % WORKER_IDS },
    })
    if (data.length > RELAY_BYTES_MAX) counters.refusedRelays++
    else if (!this.#pay(message, data.length)) counters.excessRelays++
    else if (bus.publish(subjectOf(run.name), data)) counters.sentRelays++
    else counters.unreachableRelays++
  }

  #pay({ offer }: Relayed, bytes: number): boolean {
    const now = performance.now() / 1000
    if (!offer) return this.#answers.take(bytes, now, ANSWERS)
    const bucket = this.#addresses.get(offer.address) ?? new TokenBucket()
    makeRecent(this.#addresses, offer.address, bucket, ADDRESSES_MAX)
    return bucket.take(bytes, now, OFFERS_PER_ADDRESS) && this.#offers.take(bytes, now, OFFERS)
  }

  /** Passes a message of another node to the worker of its peer. */
  receive(data: Buffer): void {
    const { counters, deliver, epoch, runOf } = this.#options
    const received = readRelayMessage(data)
    const run = received && runOf(received.from, received.fromEpoch)
    // The numbers of sockets before a restart mean others now.
    if (!run || received.toEpoch !== epoch) {
      counters.refusedRelays++
      return
    }
    const { offer } = received.message
    const maker = offer && { ...offer, worker: workerOfNode(run.number, offer.worker) }
    if (deliver({ ...received.message, offer: maker })) counters.receivedRelays++
    else counters.excessRelays++
  }
}
