import { QUERY_BYTES_MAX, TRANSFER_BYTES_MAX } from '../limits.ts'

/**
 * The query of one request, and what parsers read of it: the names of parameters, and values as numbers, words or bytes. One query at a time.
 */

const AMPERSAND = 0x26
const EQUALS = 0x3d
const PERCENT = 0x25
const ZERO = 0x30

/**
 * The parameters that mean something here. All others (`key`, `trackerid`, `supportcrypto`,
 * `corrupt`, …) are passed over.
 */
export const Name = {
  unknown: 0,
  infoHash: 1,
  peerId: 2,
  port: 3,
  uploaded: 4,
  downloaded: 5,
  left: 6,
  event: 7,
  numwant: 8,
  compact: 9,
  noPeerId: 10,
  ip: 11,
  ipv4: 12,
  ipv6: 13,
} as const
export type Name = (typeof Name)[keyof typeof Name]

const word = (text: string) => Uint8Array.from(text, character => character.charCodeAt(0))
export const WORDS = {
  infoHash: word('info_hash'),
  peerId: word('peer_id'),
  port: word('port'),
  uploaded: word('uploaded'),
  downloaded: word('downloaded'),
  left: word('left'),
  event: word('event'),
  numwant: word('numwant'),
  compact: word('compact'),
  noPeerId: word('no_peer_id'),
  ip: word('ip'),
  ipv4: word('ipv4'),
  ipv6: word('ipv6'),
  started: word('started'),
  stopped: word('stopped'),
  completed: word('completed'),
  zero: word('0'),
} as const

/**
 * Value of the hex digit with this character code; -1 for other bytes. A table, since branches on
 * random digits are mispredicted.
 */
export const HEX = Int8Array.from({ length: 256 }, (_, code) => {
  const text = String.fromCharCode(code)
  return /[0-9a-f]/i.test(text) ? Number.parseInt(text, 16) : -1
})

/** Digits of which any number is a small integer. */
const SMALL_DIGITS = 9

/** Characters of the query, and an `&` behind the last: looking for the end of anything needs no other check. */
const text = new Uint16Array(QUERY_BYTES_MAX + 1)
const textBytes = Buffer.from(text.buffer)

/**
 * Where the value of the parameter being read begins, set by readName, and ends, set by who reads
 * the value.
 */
let valueAt = 0
export let valueEnd = 0

/**
 * Takes a query, still percent-encoded, to read from, and returns its length; -1 when it is too long. It is copied, because a character of a
 * typed array costs a third of what one of a string does.
 */
export function takeQuery(query: string): number {
  const { length } = query
  if (length > QUERY_BYTES_MAX) return -1
  textBytes.write(query, 0, length * 2, 'utf16le')
  text[length] = AMPERSAND
  return length
}

/**
 * Which parameter begins at `from`, which is inside the query. Its value is then what the readers
 * below read; a name without `=` has an empty one.
 */
export function readName(from: number): Name {
  // Two characters tell nearly all names apart.
  switch ((text[from] as number) | ((text[from + 1] as number) << 16)) {
    case 0x6e0069: // in
      return isName(from, WORDS.infoHash) ? Name.infoHash : Name.unknown
    case 0x650070: // pe
      return isName(from, WORDS.peerId) ? Name.peerId : Name.unknown
    case 0x6f0070: // po
      return isName(from, WORDS.port) ? Name.port : Name.unknown
    case 0x700075: // up
      return isName(from, WORDS.uploaded) ? Name.uploaded : Name.unknown
    case 0x6f0064: // do
      return isName(from, WORDS.downloaded) ? Name.downloaded : Name.unknown
    case 0x65006c: // le
      return isName(from, WORDS.left) ? Name.left : Name.unknown
    case 0x760065: // ev
      return isName(from, WORDS.event) ? Name.event : Name.unknown
    case 0x75006e: // nu
      return isName(from, WORDS.numwant) ? Name.numwant : Name.unknown
    case 0x6f006e: // no
      return isName(from, WORDS.noPeerId) ? Name.noPeerId : Name.unknown
    case 0x6f0063: // co
      return isName(from, WORDS.compact) ? Name.compact : Name.unknown
    case 0x700069: // ip
      if (isName(from, WORDS.ipv6)) return Name.ipv6
      if (isName(from, WORDS.ipv4)) return Name.ipv4
      return isName(from, WORDS.ip) ? Name.ip : Name.unknown
    default:
      return Name.unknown
  }
}

/** Whether the name is `name`, whose first two characters are known to be. */
function isName(from: number, name: Uint8Array): boolean {
  for (let n = 2; n < name.length; n++) if (text[from + n] !== name[n]) return false
  const end = from + name.length
  const code = text[end]
  valueAt = code === EQUALS ? end + 1 : end
  return code === EQUALS || code === AMPERSAND
}

/** Passes over the parameter, known or not, that has a character at `from`. */
export function skip(from: number): void {
  let end = from
  while (text[end] !== AMPERSAND) end++
  valueEnd = end
}

/** Whether the value is exactly `word`. */
export function isValue(word: Uint8Array): boolean {
  skip(valueAt)
  if (valueEnd - valueAt !== word.length) return false
  for (let n = 0; n < word.length; n++) if (text[valueAt + n] !== word[n]) return false
  return true
}

/**
 * The decimal number, of which any above 2^48 is only some number above it; 0 for what is none.
 */
export function readNumber(): number {
  let place = valueAt
  let digit = (text[place] as number) - ZERO
  // The first digits as a small integer, which most numbers are.
  let small = 0
  for (const end = place + SMALL_DIGITS; place < end && digit >= 0 && digit <= 9; ) {
    small = small * 10 + digit
    digit = (text[++place] as number) - ZERO
  }
  let value = small
  while (digit >= 0 && digit <= 9) {
    if (value <= TRANSFER_BYTES_MAX) value = value * 10 + digit
    digit = (text[++place] as number) - ZERO
  }
  skip(place)
  return valueEnd === place ? value : 0
}

/**
 * Percent-decodes the value to `into`, at most `room` bytes, and returns how many it has: `room` +
 * 1 for any more; -1 for a `%` without two hex digits or a character that is no byte. In these two
 * cases the value is not passed over.
 */
export function decode(out: Uint8Array, into: number, room: number): number {
  let count = 0
  let place = valueAt
  for (; ; place++) {
    let byte = text[place] as number
    if (byte === AMPERSAND) break
    if (byte === PERCENT) {
      const high = text[place + 1] as number
      if (high > 0xff || HEX[high] === -1) return -1
      const low = text[place + 2] as number
      if (low > 0xff || HEX[low] === -1) return -1
      byte = ((HEX[high] as number) << 4) | (HEX[low] as number)
      place += 2
    } else if (byte > 0xff) return -1
    if (count === room) return room + 1
    out[into + count++] = byte
  }
  valueEnd = place
  return count
}

/** Passes over the value. */
export function skipValue(): void {
  skip(valueAt)
}
