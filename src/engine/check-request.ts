import { bytesOf } from '../protocol/bytes.ts'
import { Failure } from '../protocol/failures.ts'
import { INFO_HASH, KEY, USER_KEY } from '../protocol/records.ts'
import { checkInfoHash, checkKeys } from './access.ts'
import type { Engine } from './engine.ts'
import { checkLimits } from './policy.ts'
import { hashInfoHash } from './tables/keyed-hash.ts'

/**
 * Checks the record of an announce that does not enter a swarm against limits, keys and lists.
 * `nowSeconds` is in Unix seconds.
 */
export function checkRequest(
  { access, hashKey, limits }: Engine,
  record: Uint8Array,
  nowSeconds: number,
): Failure {
  const request = bytesOf(record)
  const { view } = request
  const exchange = { request, at: 0, reply: request, replyAt: 0, nowSeconds }
  return (
    (limits.isChecked ? checkLimits(limits, hashKey, exchange) : Failure.none) ||
    checkKeys(access, view, KEY, USER_KEY) ||
    checkInfoHash(access, hashInfoHash(hashKey, view, INFO_HASH), view, INFO_HASH)
  )
}
