/** An offer or answer for a peer, wherever its connection is. */
export type Relayed = {
  /** The worker (connection.ts), and the socket in it, that the peer is connected to. */
  readonly worker: number
  readonly socket: number
  readonly infoHash: string
  readonly peerId: string
  /** The message for the peer. */
  readonly text: string
  /** Set for an offer: the maker that its answer is sent to. */
  readonly offer: OfferOrigin | undefined
}

export type OfferOrigin = {
  readonly worker: number
  readonly socket: number
  readonly peerId: string
  readonly offerId: string
  /** The counted address of the maker. */
  readonly address: string
}

/** Carries messages to other workers. */
export type RelayTransport = {
  /** Whether it carries messages to this worker. */
  reaches(worker: number): boolean
  /** Returns false when the message is dropped: the worker is dead, or reads too slowly. */
  send(message: Relayed): boolean
  close(): Promise<void>
}

/**
 * Relays messages to the sockets of this worker and, through its transports, to those of others.
 */
export class Relay {
  readonly #worker: number
  readonly #deliver: (message: Relayed) => void
  readonly #transports: RelayTransport[] = []

  /** `deliver` receives the messages for sockets of `worker`, the number of this process. */
  constructor(worker: number, deliver: (message: Relayed) => void) {
    this.#worker = worker
    this.#deliver = deliver
  }

  /** Adds a transport. The first one that reaches a worker carries the messages to it. */
  add(transport: RelayTransport): void {
    this.#transports.push(transport)
  }

  /** Returns false when the message is dropped. */
  send(message: Relayed): boolean {
    if (message.worker === this.#worker) {
      this.#deliver(message)
      return true
    }
    const transport = this.#transports.find(({ reaches }) => reaches(message.worker))
    return transport?.send(message) ?? false
  }

  async close(): Promise<void> {
    await Promise.all(this.#transports.map(transport => transport.close()))
  }
}
