import { allocate } from '../../protocol/bytes.ts'
import { Failure } from '../../protocol/failures.ts'
import type { TrackerPaths } from '../../protocol/http/path.ts'
import { parseAnnounce } from '../../protocol/http/request.ts'
import { ANNOUNCE_BYTES, type AnnounceRules, KEY, USER_KEY } from '../../protocol/records.ts'
import { type RtcRequest, splitRtcQuery } from '../../protocol/rtctorrent.ts'
import { failureOfKeys } from '../../protocol/stopped-keys.ts'
import { writeClientAddress } from '../client-address.ts'

/** Whether a query, perhaps too long to be parsed, is that of an RtcTorrent client. */
export function isRtcQuery(query: string): boolean {
  return /(?:^|&)rtctorrent=1(?:&|$)/.test(query)
}

/** Reads an announce with `rtctorrent=1`, or returns the failure. */
export function readRtcRequest(
  path: string,
  query: string,
  address: Uint8Array | undefined,
  paths: TrackerPaths,
  rules: AnnounceRules,
): RtcRequest | Failure {
  const split = splitRtcQuery(query)
  if (!split) return Failure.descriptionTooLong
  const into = allocate(ANNOUNCE_BYTES)
  const keyFailure = paths.readAnnounceKeys(path, split.rest, into, KEY, USER_KEY)
  const failure =
    (address ? writeClientAddress(address, into, 0) : Failure.unknownOrigin) ||
    parseAnnounce(split.rest, into, 0, rules) ||
    failureOfKeys(into, 0, keyFailure)
  const { answer, answerFor, offer } = split
  return failure === Failure.none ? { record: into.u8, answer, answerFor, offer } : failure
}
