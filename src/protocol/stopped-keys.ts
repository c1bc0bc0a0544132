import type { Bytes } from './bytes.ts'
import { Failure } from './failures.ts'
import { EVENT, Event, HASH_BYTES, KEY, USER_KEY } from './records.ts'

/**
 * The failure of an announce at `at` whose other fields are valid, and whose keys are not unless
 * `keyFailure` is none. A `stopped` does not need keys, because it only frees memory: a client may
 * have started before the tracker required them. They become zero bytes, which no key has.
 */
export function failureOfKeys({ u8 }: Bytes, at: number, keyFailure: Failure): Failure {
  if (keyFailure === Failure.none || u8[at + EVENT] !== Event.stopped) return keyFailure
  u8.fill(0, at + KEY, at + KEY + HASH_BYTES)
  u8.fill(0, at + USER_KEY, at + USER_KEY + HASH_BYTES)
  return Failure.none
}
