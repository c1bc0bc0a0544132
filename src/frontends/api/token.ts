import { createHash, timingSafeEqual } from 'node:crypto'
import {
  COUNTED_ADDRESSES_MAX,
  INVALID_TOKENS_MAX,
  INVALID_TOKENS_WINDOW_SECONDS,
} from './limits.ts'
import { type Reply, statusReply } from './replies.ts'

const MISSING = statusReply(400, 'missing token')
const INVALID = statusReply(400, 'invalid token')

type Failures = { count: number; readonly windowEnd: number }

/**
 * Checks the token of a request. The valid token is always accepted. Invalid ones are counted by
 * address, IPv6 by its /64, and past the limit they are answered with 429.
 */
export class TokenGuard {
  readonly #expected: Buffer
  readonly #now: () => number
  /** In the order of the ends of their windows: all windows have the same length. */
  readonly #failures = new Map<string, Failures>()

  /** `now` returns seconds of a monotonic clock. Throws for an empty token. */
  constructor(token: string, now: () => number) {
    if (token === '') throw new Error('the API token is empty')
    this.#expected = digest(token)
    this.#now = now
  }

  /**
   * Returns the refusal of a request, or undefined if its token is valid. `address` is 4 or 16
   * bytes; all clients without a known address are counted together.
   */
  refuse(given: string | undefined, address: Uint8Array | undefined): Reply | undefined {
    if (!given) return MISSING
    // Digests have equal lengths, so the comparison's time does not depend on the token's length.
    if (timingSafeEqual(digest(given), this.#expected)) return undefined
    const now = this.#now()
    const { count, windowEnd } = this.#countFailure(countedAs(address), now)
    return count > INVALID_TOKENS_MAX ? tooMany(Math.ceil(windowEnd - now)) : INVALID
  }

  #countFailure(key: string, now: number): Failures {
    const known = this.#failures.get(key)
    if (known && known.windowEnd > now) {
      known.count++
      return known
    }
    this.#failures.delete(key)
    if (this.#failures.size >= COUNTED_ADDRESSES_MAX) {
      for (const oldest of this.#failures.keys()) {
        this.#failures.delete(oldest)
        break
      }
    }
    const first = { count: 1, windowEnd: now + INVALID_TOKENS_WINDOW_SECONDS }
    this.#failures.set(key, first)
    return first
  }
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}

function countedAs(address: Uint8Array | undefined): string {
  if (!address) return 'unknown'
  return Buffer.from(address.length === 16 ? address.subarray(0, 8) : address).toString('hex')
}

function tooMany(seconds: number): Reply {
  return {
    ...statusReply(429, 'too many invalid tokens'),
    headers: [['retry-after', String(seconds)]],
  }
}

/**
 * Returns the token of a request: `Authorization: Bearer X` or the bare value, otherwise
 * `?token=X`. Another authorization scheme, such as Basic, belongs to a proxy and is ignored.
 */
export function readToken(authorization: string, query: string): string | undefined {
  const [, scheme, value] = /^([A-Za-z]+) +(.*)$/.exec(authorization) ?? []
  if (scheme?.toLowerCase() === 'bearer') return value
  if (authorization !== '' && scheme === undefined) return authorization
  return new URLSearchParams(query).get('token') ?? undefined
}
