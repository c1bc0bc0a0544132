import {
  MAKERS_MAX,
  OFFER_TOKEN_BYTES,
  OFFER_TORRENTS_MAX,
  OFFERS_RESERVED,
  type WebsocketLimits,
} from './limits.ts'
import { makeRecent } from './recent-entries.ts'
import type { OfferOrigin } from './relay.ts'
import { TokenBucket } from './token-bucket.ts'

/** An address with makers of offers to one socket. */
type MakerAddress = { readonly bucket: TokenBucket; awaited: number }

/** The socket that makes offers to this one. */
type Maker = {
  readonly bucket: TokenBucket
  readonly reserved: TokenBucket
  readonly address: MakerAddress
  awaited: number
}

type Awaited = { readonly from: OfferOrigin; readonly maker: Maker; readonly since: number }

/** Tokens that relaying this text of an offer costs its maker. */
export function offerCost(text: string): number {
  return 1 + Math.floor(text.length / OFFER_TOKEN_BYTES)
}

/**
 * Offers that one socket received and has not answered. It admits offers so that no maker can push
 * out the offers of another: each maker and each address has its own rate, and when too many
 * answers are awaited, the address with the most loses its oldest.
 */
export class AwaitedOffers {
  readonly #awaited = new Map<string, Awaited>()
  readonly #makers = new Map<string, Maker>()
  readonly #addresses = new Map<string, MakerAddress>()

  /**
   * Admits an offer of `cost` tokens to a socket that has announced `torrents`, and remembers where
   * its answer goes. Returns false when the maker or its address exceeds its rate.
   */
  admit(
    infoHash: string,
    from: OfferOrigin,
    { cost, torrents, now }: { cost: number; torrents: number; now: number },
    limits: WebsocketLimits,
  ): boolean {
    const maker = this.#makerOf(from)
    const { burst, perSecond } = limits.offersToPeer
    const factor = Math.min(Math.max(torrents, 1), OFFER_TORRENTS_MAX)
    if (!maker.bucket.take(cost, now, { burst: burst * factor, perSecond })) return false
    const isAdmitted =
      maker.address.bucket.take(cost, now, limits.offersToPeerPerAddress) ||
      maker.reserved.take(cost, now, OFFERS_RESERVED)
    if (!isAdmitted) return false
    this.expire(now, limits.offerTime)
    if (this.#awaited.size >= limits.offersAwaited) this.#dropOne()
    const key = keyOf(infoHash, from.peerId, from.offerId)
    this.#forget(key)
    this.#awaited.set(key, { from, maker, since: now })
    maker.awaited++
    maker.address.awaited++
    return true
  }

  /**
   * Removes an offer because it is answered, and returns its maker. Undefined when no such offer is
   * awaited.
   */
  take(infoHash: string, makerPeerId: string, offerId: string): OfferOrigin | undefined {
    return this.#forget(keyOf(infoHash, makerPeerId, offerId))?.from
  }

  /** Forgets offers older than `offerTime` seconds. */
  expire(now: number, offerTime: number): void {
    for (const [key, { since }] of this.#awaited) {
      if (now - since < offerTime) return
      this.#forget(key)
    }
  }

  #forget(key: string): Awaited | undefined {
    const found = this.#awaited.get(key)
    if (!found) return undefined
    this.#awaited.delete(key)
    found.maker.awaited--
    found.maker.address.awaited--
    return found
  }

  /**
   * Forgets the oldest offer of the maker with the most, among those of the address with the most.
   */
  #dropOne(): void {
    let most: Maker | undefined
    for (const { maker } of this.#awaited.values()) {
      if (!most || compareAwaited(maker, most) > 0) most = maker
    }
    for (const [key, { maker }] of this.#awaited) {
      if (maker === most) {
        this.#forget(key)
        return
      }
    }
  }

  #makerOf({ worker, socket, address }: OfferOrigin): Maker {
    const key = `${worker} ${socket}`
    const known = this.#makers.get(key)
    const maker = known ?? {
      bucket: new TokenBucket(),
      reserved: new TokenBucket(),
      address: this.#addressOf(address),
      awaited: 0,
    }
    makeRecent(this.#makers, key, maker, MAKERS_MAX)
    return maker
  }

  #addressOf(key: string): MakerAddress {
    const address = this.#addresses.get(key) ?? { bucket: new TokenBucket(), awaited: 0 }
    makeRecent(this.#addresses, key, address, MAKERS_MAX)
    return address
  }
}

function keyOf(infoHash: string, peerId: string, offerId: string): string {
  return infoHash + peerId + offerId
}

function compareAwaited(a: Maker, b: Maker): number {
  return a.address.awaited - b.address.awaited || a.awaited - b.awaited
}
