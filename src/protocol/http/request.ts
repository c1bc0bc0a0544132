import type { Bytes } from '../bytes.ts'
import { Event } from '../events.ts'
import { Failure } from '../failures.ts'
import { SCRAPE_HASHES_MAX, TRANSFER_BYTES_MAX } from '../limits.ts'
import {
  ADDRESS,
  DOWNLOADED,
  EVENT,
  FAMILY,
  Family,
  FLAGS,
  Flag,
  HASH_BYTES,
  INFO_HASH,
  type IpFamily,
  KIND,
  Kind,
  LEFT,
  NUMWANT,
  PEER_ID,
  PORT,
  UPLOADED,
  writeSource,
  writeU64,
} from '../records.ts'
import { HASH_COUNT, SCRAPE_REQUEST_HEADER_BYTES } from '../scrape-record.ts'
import {
  decode,
  isValue,
  Name,
  readName,
  readNumber,
  skip,
  takeQuery,
  valueEnd,
  WORDS,
} from './query.ts'
import { address, readAddress } from './query-address.ts'

/** What a configuration says about reading an announce. */
export type AnnounceRules = {
  readonly numwantDefault: number
  readonly numwantMaximum: number
  /** Believe `ip`, `ipv4` and `ipv6`. */
  readonly usePayloadIp: boolean
}

const scrapedHash = new Uint8Array(HASH_BYTES)

/**
 * Reads the query of an announce (BEP 3, 7, 23), still percent-encoded, into the announce record at
 * `at`, in one pass and without making anything. FAMILY and ADDRESS are the caller's, except under
 * usePayloadIp. After a failure the record holds whatever was read so far.
 * - `+` stands for itself: clients encode bytes, not forms.
 * - Of a parameter that comes twice the last one counts; info_hash, peer_id and port may not.
 * - A number that cannot be read is as good as absent. `left` is then 0, as in Torrust-Actix.
 * - `port` is wanted of `stopped` too: a client without one was never let in.
 * - `numwant` 0 is the default, as in Torrust-Actix.
 */
export function parseAnnounce(
  query: string,
  into: Bytes,
  at: number,
  rules: AnnounceRules,
): Failure {
  const length = takeQuery(query)
  if (length === -1) return Failure.queryTooLong
  const { u8, view } = into
  const connected = u8[at + FAMILY] as IpFamily
  let families = 1 << connected
  let addressRank = 0
  let seen = 0
  let port = 0
  let uploaded = 0
  let downloaded = 0
  let left = 0
  let event: Event = Event.none
  let numwant = 0
  let dictionary = false
  let wantsIds = true
  for (let from = 0; from < length; from = valueEnd + 1) {
    const name = readName(from)
    switch (name) {
      case Name.infoHash:
      case Name.peerId:
      case Name.port: {
        const bit = 1 << name
        if ((seen & bit) !== 0) return Failure.duplicateParameter
        seen |= bit
        if (name === Name.port) {
          port = readNumber()
          break
        }
        const isHash = name === Name.infoHash
        const decoded = decode(u8, at + (isHash ? INFO_HASH : PEER_ID), HASH_BYTES)
        if (decoded === HASH_BYTES) break
        if (decoded === -1) return Failure.invalidEncoding
        return isHash ? Failure.invalidInfoHash : Failure.invalidPeerId
      }
      case Name.uploaded:
        uploaded = readNumber()
        break
      case Name.downloaded:
        downloaded = readNumber()
        break
      case Name.left:
        left = readNumber()
        break
      case Name.numwant:
        numwant = readNumber()
        break
      case Name.event:
        event = readEvent()
        break
      case Name.compact:
        dictionary = isValue(WORDS.zero)
        break
      case Name.noPeerId:
        wantsIds = isValue(WORDS.zero)
        break
      case Name.ip:
      case Name.ipv4:
      case Name.ipv6: {
        const family = readAddress()
        if (family === -1) break
        if (name !== Name.ip) {
          if (family !== (name === Name.ipv4 ? Family.ipv4 : Family.ipv6)) break
          families |= 1 << family
        }
        // `ip` is meant for the tracker; of the other two, the connection's family says which one
        // is.
        const rank = name === Name.ip ? 3 : family === connected ? 2 : 1
        if (!rules.usePayloadIp || rank < addressRank) break
        if (addressRank === 0) writeSource(view, at)
        addressRank = rank
        u8[at + FAMILY] = family
        for (let n = 0; n < 16; n++) u8[at + ADDRESS + n] = address[n] as number
        break
      }
      default:
        skip(from)
    }
  }
  if ((seen & (1 << Name.infoHash)) === 0) return Failure.missingInfoHash
  if ((seen & (1 << Name.peerId)) === 0) return Failure.missingPeerId
  if (port < 1 || port > 0xffff) return Failure.invalidPort
  u8[at + KIND] = Kind.announce
  u8[at + EVENT] = event
  u8[at + FLAGS] =
    (dictionary ? Flag.dictionary : 0) |
    (dictionary && wantsIds ? Flag.peerIds : 0) |
    (families === 3 ? Flag.bothFamilies : 0) |
    (addressRank > 0 ? Flag.claimedAddress : 0)
  view.setUint16(at + PORT, port, true)
  const wanted = numwant > 0 ? numwant : rules.numwantDefault
  view.setUint16(at + NUMWANT, Math.min(wanted, rules.numwantMaximum), true)
  writeTransfer(view, at + UPLOADED, uploaded)
  writeTransfer(view, at + DOWNLOADED, downloaded)
  writeTransfer(view, at + LEFT, left)
  return Failure.none
}

/**
 * Reads the query of a scrape (BEP 48) into the scrape record at `at`, which has room for
 * SCRAPE_HASHES_MAX hashes: sorted, and each once, as the answer's dictionary wants them.
 */
export function parseScrape(query: string, into: Bytes, at: number): Failure {
  const length = takeQuery(query)
  if (length === -1) return Failure.queryTooLong
  const { u8, view } = into
  const hashes = at + SCRAPE_REQUEST_HEADER_BYTES
  let count = 0
  for (let from = 0; from < length; from = valueEnd + 1) {
    if (readName(from) !== Name.infoHash) {
      skip(from)
      continue
    }
    const decoded = decode(scrapedHash, 0, HASH_BYTES)
    if (decoded === -1) return Failure.invalidEncoding
    if (decoded !== HASH_BYTES) return Failure.invalidInfoHash
    const place = placeOf(u8, hashes, count)
    if (place === -1) continue
    if (count === SCRAPE_HASHES_MAX) return Failure.tooManyHashes
    const put = hashes + place * HASH_BYTES
    if (place < count) u8.copyWithin(put + HASH_BYTES, put, hashes + count * HASH_BYTES)
    for (let n = 0; n < HASH_BYTES; n++) u8[put + n] = scrapedHash[n] as number
    count++
  }
  if (count === 0) return Failure.missingInfoHash
  u8[at + KIND] = Kind.scrape
  view.setUint16(at + HASH_COUNT, count, true)
  return Failure.none
}

/** Where scrapedHash belongs among `count` sorted hashes; -1 when it is one of them. */
function placeOf(u8: Uint8Array, hashes: number, count: number): number {
  let low = 0
  let high = count
  while (low < high) {
    const middle = (low + high) >> 1
    const hash = hashes + middle * HASH_BYTES
    let n = 0
    while (n < HASH_BYTES && u8[hash + n] === scrapedHash[n]) n++
    if (n === HASH_BYTES) return -1
    if ((u8[hash + n] as number) < (scrapedHash[n] as number)) low = middle + 1
    else high = middle
  }
  return low
}

/** BEP 21's `paused` and whatever else there is: none. */
function readEvent(): Event {
  if (isValue(WORDS.started)) return Event.started
  if (isValue(WORDS.stopped)) return Event.stopped
  return isValue(WORDS.completed) ? Event.completed : Event.none
}

function writeTransfer(view: DataView, at: number, value: number): void {
  writeU64(view, at, Math.min(value, TRANSFER_BYTES_MAX))
}
