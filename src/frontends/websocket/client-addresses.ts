import { NETWORK_FACTOR, type Rate, SHARED_SOCKETS_MIN } from './limits.ts'
import { TokenBucket } from './token-bucket.ts'

/** Resources that the sockets of one address use in this process. */
export type AddressUse = {
  sockets: number
  /** Peers announced over these sockets. */
  torrents: number
  /** Bytes of their messages that wait. */
  waitingBytes: number
  /** Offers relayed for them. */
  readonly offers: TokenBucket
}

const IPV6_PREFIX_BYTES = 8
const IPV6_NETWORK_BYTES = 6

/**
 * The address by which a client is counted, as a string of bytes: an IPv4 address, or the /64 of an
 * IPv6 address, because a customer usually controls at least a /64. `address` has 4 or 16 bytes.
 */
export function countedAddress(address: Uint8Array): string {
  const bytes = address.length === 16 ? address.subarray(0, IPV6_PREFIX_BYTES) : address
  return Buffer.from(bytes).toString('latin1')
}

/** A counted address and its open sockets in one worker. */
export type SocketCount = readonly [address: string, sockets: number]

/**
 * Counts the sockets of each address, in this worker and, as far as they report them, in others.
 */
export class ClientAddresses {
  readonly #uses = new Map<string, AddressUse>()
  /** Counts reported by each other worker, and their sums. */
  readonly #reported = new Map<number, Map<string, number>>()
  readonly #others = new Map<string, number>()
  /** Sockets of each IPv6 /48. */
  readonly #networks = new Map<string, number>()

  /** Whether one more socket of this counted address exceeds `socketsPerAddress`. */
  isFull(address: string, socketsPerAddress: number): boolean {
    if (socketsPerAddress === 0) return false
    const own = this.#uses.get(address)?.sockets ?? 0
    if (own + (this.#others.get(address) ?? 0) >= socketsPerAddress) return true
    const network = networkOf(address)
    if (network === undefined) return false
    return (this.#networks.get(network) ?? 0) >= socketsPerAddress * NETWORK_FACTOR
  }

  /** Counts a socket that opened. */
  add(address: string): AddressUse {
    let use = this.#uses.get(address)
    if (!use) {
      use = { sockets: 0, torrents: 0, waitingBytes: 0, offers: new TokenBucket() }
      this.#uses.set(address, use)
    }
    use.sockets++
    this.#addToNetwork(address, 1)
    return use
  }

  /**
   * The counts that other workers need. An address with few sockets is left out, so that an
   * ordinary client causes no traffic between workers.
   */
  shared(): SocketCount[] {
    const all = [...this.#uses].map(([address, { sockets }]): SocketCount => [address, sockets])
    return all.filter(([, sockets]) => sockets >= SHARED_SOCKETS_MIN)
  }

  /** Returns the count to report for this address after its sockets changed; undefined for none. */
  change(address: string): SocketCount | undefined {
    const sockets = this.#uses.get(address)?.sockets ?? 0
    if (sockets < SHARED_SOCKETS_MIN - 1) return undefined
    return [address, sockets < SHARED_SOCKETS_MIN ? 0 : sockets]
  }

  /** Another worker reports its sockets of some addresses. */
  report(worker: number, counts: readonly SocketCount[]): void {
    const known = this.#reported.get(worker) ?? new Map<string, number>()
    this.#reported.set(worker, known)
    for (const [address, sockets] of counts) {
      this.#addToOthers(address, sockets - (known.get(address) ?? 0))
      if (sockets === 0) known.delete(address)
      else known.set(address, sockets)
    }
  }

  /** Another worker has ended. */
  forget(worker: number): void {
    for (const [address, sockets] of this.#reported.get(worker) ?? []) {
      this.#addToOthers(address, -sockets)
    }
    this.#reported.delete(worker)
  }

  #addToOthers(address: string, more: number): void {
    const sockets = (this.#others.get(address) ?? 0) + more
    if (sockets === 0) this.#others.delete(address)
    else this.#others.set(address, sockets)
  }

  /** Counts a socket that closed. */
  remove(address: string): void {
    const use = this.#uses.get(address)
    if (!use) return
    use.sockets--
    this.#addToNetwork(address, -1)
  }

  /**
   * Forgets addresses without a socket once their offers are paid for: reconnecting does not earn a
   * new burst.
   */
  sweep(now: number, offers: Rate): void {
    for (const [address, use] of this.#uses) {
      if (use.sockets === 0 && use.offers.missing(now, offers) === 0) this.#uses.delete(address)
    }
  }

  #addToNetwork(address: string, more: number): void {
    const network = networkOf(address)
    if (network === undefined) return
    const sockets = (this.#networks.get(network) ?? 0) + more
    if (sockets === 0) this.#networks.delete(network)
    else this.#networks.set(network, sockets)
  }
}

function networkOf(address: string): string | undefined {
  return address.length === IPV6_PREFIX_BYTES ? address.slice(0, IPV6_NETWORK_BYTES) : undefined
}
