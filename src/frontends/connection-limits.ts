import {
  countFrontend,
  FrontendCounter,
  type FrontendCounters,
  familyOf,
  Protocol,
} from '../counters/frontend.ts'
import { compileCidrs, isInCidrs } from '../protocol/ip.ts'
import type { ConnectionGate } from './adapter.ts'
import { socketAddress } from './client-address.ts'

/** An IPv6 customer has at least a /64, which therefore counts as one address. */
const SOURCE_BYTES_MAX = 8

export type GateOptions = {
  /** Connections to this listener in this process; 0 does not limit. */
  readonly maxConnections: number
  /** CIDR ranges whose connections carry many clients each, and do not count for an address. */
  readonly trustedProxies: readonly string[]
}

/**
 * Counts the connections of one process, to all of its listeners together, and refuses those over a
 * limit.
 */
export class ConnectionLimits {
  readonly #counters: FrontendCounters
  readonly #perSource = new Map<string, number>()
  #perAddress: number
  #open = 0

  /** `perAddress` limits the connections of one IPv4 address or IPv6 /64; 0 does not limit. */
  constructor(perAddress: number, counters: FrontendCounters) {
    this.#perAddress = perAddress
    this.#counters = counters
  }

  /** Connections that are open. */
  get open(): number {
    return this.#open
  }

  /** Applies to connections that are opened from now on. */
  set perAddress(limit: number) {
    this.#perAddress = limit
  }

  /** Counts and limits the connections of one listener. */
  gate({ maxConnections, trustedProxies }: GateOptions): ConnectionGate {
    const trusted = compileCidrs(trustedProxies)
    let ofListener = 0
    const refuse = (address: Uint8Array, counter: FrontendCounter) => {
      countFrontend(this.#counters, Protocol.http, familyOf(address), counter)
      return false
    }
    return {
      open: remote => {
        const address = socketAddress(remote)
        const source = isInCidrs(trusted, address) ? undefined : sourceOf(address)
        const sharing = source === undefined ? 0 : (this.#perSource.get(source) ?? 0)
        if (isReached(sharing, this.#perAddress)) {
          return refuse(address, FrontendCounter.overAddress)
        }
        if (isReached(ofListener, maxConnections)) {
          return refuse(address, FrontendCounter.overListener)
        }
        ofListener++
        this.#open++
        if (source !== undefined) this.#perSource.set(source, sharing + 1)
        return true
      },
      close: remote => {
        const address = socketAddress(remote)
        ofListener--
        this.#open--
        if (isInCidrs(trusted, address)) return
        const source = sourceOf(address)
        const sharing = (this.#perSource.get(source) ?? 1) - 1
        if (sharing === 0) this.#perSource.delete(source)
        else this.#perSource.set(source, sharing)
      },
    }
  }
}

function sourceOf(address: Uint8Array): string {
  return Buffer.from(address.subarray(0, SOURCE_BYTES_MAX)).toString('latin1')
}

function isReached(count: number, limit: number): boolean {
  return limit > 0 && count >= limit
}
