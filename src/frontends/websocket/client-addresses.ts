import { NETWORK_FACTOR, type Rate } from './limits.ts'
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

/** Counts the sockets of each address. */
export class ClientAddresses {
  readonly #uses = new Map<string, AddressUse>()
  /** Sockets of each IPv6 /48. */
  readonly #networks = new Map<string, number>()

  /** Whether one more socket of this counted address exceeds `socketsPerAddress`. */
  isFull(address: string, socketsPerAddress: number): boolean {
    if (socketsPerAddress === 0) return false
    if ((this.#uses.get(address)?.sockets ?? 0) >= socketsPerAddress) return true
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
