import { createHash, timingSafeEqual } from 'node:crypto'
import {
  COUNTED_ADDRESSES_MAX,
  INVALID_TOKENS_MAX,
  INVALID_TOKENS_WINDOW_SECONDS,
} from './limits.ts'
import { type Reply, statusReply } from './replies.ts'

/** Says who may use the API. */
export type TokenGuard = {
  /** The refusal of a request, or undefined. `address` is 4 or 16 bytes; those that nobody knows count as one. */
  refuse(given: string | undefined, address: Uint8Array | undefined): Reply | undefined
}

const MISSING = statusReply(400, 'missing token')
const INVALID = statusReply(400, 'invalid token')

type Failures = { count: number; windowEnd: number }

/**
 * Counts the invalid tokens of each address, IPv6 by its /64, and makes it wait when there were too many, with whatever token: otherwise it
 * could go on guessing. `now` in seconds, ever increasing. Throws for an empty token, which everybody would know.
 */
export function createTokenGuard(token: string, now: () => number): TokenGuard {
  if (token === '') throw new Error('the API token is empty')
  const expected = digest(token)
  // In the order of their windows' ends: all windows have the same length.
  const failures = new Map<string, Failures>()

  function countFailure(key: string, at: number): void {
    const known = failures.get(key)
    if (known && known.windowEnd > at) {
      known.count++
      return
    }
    failures.delete(key)
    if (failures.size >= COUNTED_ADDRESSES_MAX) {
      for (const oldest of failures.keys()) {
        failures.delete(oldest)
        break
      }
    }
    failures.set(key, { count: 1, windowEnd: at + INVALID_TOKENS_WINDOW_SECONDS })
  }

  return {
    refuse(given, address) {
      if (!given) return MISSING
      const at = now()
      const key = countedAs(address)
      const known = failures.get(key)
      if (known && known.windowEnd > at && known.count >= INVALID_TOKENS_MAX) {
        return tooMany(Math.ceil(known.windowEnd - at))
      }
      // Digests have one length, so that the comparison's time says nothing of the token's.
      if (timingSafeEqual(digest(given), expected)) return undefined
      countFailure(key, at)
      return INVALID
    },
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
 * The token of a request: `Authorization: Bearer X` or the bare value first, then `?token=X`. Another scheme of authorization is the
 * business of a proxy on the way.
 */
export function readToken(authorization: string, query: string): string | undefined {
  const [, scheme, value] = /^([A-Za-z]+) +(.*)$/.exec(authorization) ?? []
  if (scheme?.toLowerCase() === 'bearer') return value
  if (authorization !== '' && scheme === undefined) return authorization
  return new URLSearchParams(query).get('token') ?? undefined
}
