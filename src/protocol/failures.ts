/** Why a request was not answered as asked. The text is what the client's user reads. */
export const Failure = {
  none: 0,
  missingInfoHash: 1,
  invalidInfoHash: 2,
  missingPeerId: 3,
  invalidPeerId: 4,
  invalidPort: 5,
  invalidEncoding: 6,
  duplicateParameter: 7,
  invalidNumber: 8,
  queryTooLong: 9,
  tooManyHashes: 10,
  unknownOrigin: 11,
  unavailable: 12,
  overloaded: 13,
  missingKey: 14,
  invalidKey: 15,
  undecodableKey: 16,
  unknownKey: 17,
  invalidUserKey: 18,
  unknownUserKey: 19,
  inactiveUser: 20,
  notWhitelisted: 21,
  blacklisted: 22,
} as const
export type Failure = (typeof Failure)[keyof typeof Failure]

const TEXTS: readonly string[] = [
  '',
  'missing info_hash',
  'invalid info_hash size',
  'missing peer_id',
  'invalid peer_id size',
  'missing or invalid port',
  'invalid percent-encoding in query',
  'duplicate parameter in query',
  'invalid number in query',
  'query too long',
  'too many info_hash in scrape',
  'unknown origin ip',
  'tracker temporarily unavailable',
  'tracker overloaded',
  'missing key',
  'invalid key',
  'unable to decode hex string',
  'unknown key',
  'invalid user key',
  'unknown user key',
  'user is not active',
  'unknown info_hash',
  'forbidden info_hash',
]

/** The sentence for a code; an unknown code is our fault, and the client still gets a sentence. */
export function failureText(code: number): string {
  return TEXTS[code] || 'internal tracker error'
}
