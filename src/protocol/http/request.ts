import type { Bytes } from '../bytes.ts'
import { Failure } from '../failures.ts'
import { SCRAPE_HASHES_MAX, TRANSFER_BYTES_MAX } from '../limits.ts'
import {
  ADDRESS,
  type AnnounceRules,
  DOWNLOADED,
  EVENT,
  Event,
  FAMILY,
  Family,
  FLAGS,
  Flag,
  HASH_BYTES,
  HASH_COUNT,
  INFO_HASH,
  type IpFamily,
  KIND,
  Kind,
  LEFT,
  NUMWANT,
  PEER_ID,
  PORT,
  SCRAPE_REQUEST_HEADER_BYTES,
  UPLOADED,
  writeSource,
  writeU64,
} from '../records.ts'
import {
  BROKEN,
  decode,
  isZeroValue,
  Name,
  NO_NUMBER,
  nextName,
  openQuery,
  readAddress,
  readEvent,
  readNumber,
  skipValue,
} from './query.ts'

const PORT_MAX = 0xffff
const claimed = new Uint8Array(16)
const scrapedHash = new Uint8Array(HASH_BYTES)
const repeatedId = new Uint8Array(HASH_BYTES)

/**
 * Reads the query of an announce (BEP 3, 7, 23), still percent-encoded, into the announce record at
 * `at`, in one pass and without allocating. FAMILY and ADDRESS are the caller's, except under
 * usePayloadIp. After a failure the record holds whatever was read so far.
 * - `+` stands for itself: clients encode bytes, not forms.
 * - Of a repeated parameter the last one counts. A repeated info_hash, peer_id or port must have
 *   the same value.
 * - `uploaded` and `downloaded` that are not numbers count as 0. `left` that is absent or not a
 *   number makes a leecher: a client that does not know the size yet does not have the torrent.
 * - `numwant` 0 asks for no peers; absent, negative or not a number, for the default.
 * - `stopped` needs no port.
 */
export function parseAnnounce(
  query: string,
  into: Bytes,
  at: number,
  rules: AnnounceRules,
): Failure {
  if (!openQuery(query)) return Failure.queryTooLong
  const { u8, view } = into
  const connected = u8[at + FAMILY] as IpFamily
  let families = 1 << connected
  let addressRank = 0
  let seen = 0
  let port = NO_NUMBER
  let uploaded = 0
  let downloaded = 0
  let left = NO_NUMBER
  let event: Event = Event.none
  let numwant = NO_NUMBER
  let dictionary = false
  let wantsIds = true
  for (let name = nextName(); name !== Name.end; name = nextName()) {
    switch (name) {
      case Name.infoHash:
      case Name.peerId:
      case Name.port: {
        const isRepeated = (seen & (1 << name)) !== 0
        seen |= 1 << name
        if (name === Name.port) {
          const value = Math.min(readNumber(), PORT_MAX + 1)
          if (isRepeated && value !== port) return Failure.duplicateParameter
          port = value
          break
        }
        const isHash = name === Name.infoHash
        const invalid = isHash ? Failure.invalidInfoHash : Failure.invalidPeerId
        const failure = readId(u8, at + (isHash ? INFO_HASH : PEER_ID), invalid, isRepeated)
        if (failure !== Failure.none) return failure
        break
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
        dictionary = isZeroValue()
        break
      case Name.noPeerId:
        wantsIds = isZeroValue()
        break
      case Name.rtctorrent:
        if (readNumber() === 1) return Failure.rtctorrentDisabled
        break
      case Name.ip:
      case Name.ipv4:
      case Name.ipv6: {
        const family = readAddress(claimed)
        if (family === -1) break
        if (name !== Name.ip) {
          if (family !== (name === Name.ipv4 ? Family.ipv4 : Family.ipv6)) break
          families |= 1 << family
        }
        // `ip` is meant for the tracker; of the other two, the one of the connection's family.
        const rank = name === Name.ip ? 3 : family === connected ? 2 : 1
        if (!rules.usePayloadIp || rank < addressRank) break
        if (addressRank === 0) writeSource(view, at)
        addressRank = rank
        u8[at + FAMILY] = family
        for (let n = 0; n < 16; n++) u8[at + ADDRESS + n] = claimed[n] as number
        break
      }
    }
  }
  if ((seen & (1 << Name.infoHash)) === 0) return Failure.missingInfoHash
  if ((seen & (1 << Name.peerId)) === 0) return Failure.missingPeerId
  if (port < 0 || port > PORT_MAX) {
    if (event !== Event.stopped) return Failure.invalidPort
    port = 0
  }
  u8[at + KIND] = Kind.announce
  u8[at + EVENT] = event
  u8[at + FLAGS] =
    (dictionary ? Flag.dictionary : 0) |
    (dictionary && wantsIds ? Flag.peerIds : 0) |
    (families === 3 ? Flag.bothFamilies : 0) |
    (addressRank > 0 ? Flag.claimedAddress : 0) |
    (rules.externalIp ? Flag.localPeers : 0)
  view.setUint16(at + PORT, port, true)
  const wanted = numwant === NO_NUMBER ? rules.numwantDefault : numwant
  view.setUint16(at + NUMWANT, Math.min(wanted, rules.numwantMaximum), true)
  writeTransfer(view, at + UPLOADED, uploaded, 0)
  writeTransfer(view, at + DOWNLOADED, downloaded, 0)
  writeTransfer(view, at + LEFT, left, TRANSFER_BYTES_MAX)
  return Failure.none
}

/** Reads an info_hash or a peer_id to `at`, or compares a repeated one with it. */
function readId(u8: Uint8Array, at: number, invalid: Failure, isRepeated: boolean): Failure {
  const count = isRepeated ? decode(repeatedId, 0, HASH_BYTES) : decode(u8, at, HASH_BYTES)
  if (count === BROKEN) return Failure.invalidEncoding
  if (count !== HASH_BYTES) return invalid
  if (!isRepeated) return Failure.none
  for (let n = 0; n < HASH_BYTES; n++) {
    if (u8[at + n] !== repeatedId[n]) return Failure.duplicateParameter
  }
  return Failure.none
}

function writeTransfer(view: DataView, at: number, value: number, unreadable: number): void {
  writeU64(view, at, value === NO_NUMBER ? unreadable : Math.min(value, TRANSFER_BYTES_MAX))
}

/**
 * Reads the query of a scrape (BEP 48) into the scrape record at `at`, which has space for
 * SCRAPE_HASHES_MAX hashes. The hashes are sorted and distinct, as the answer's dictionary
 * requires.
 */
export function parseScrape(query: string, into: Bytes, at: number): Failure {
  if (!openQuery(query)) return Failure.queryTooLong
  const { u8, view } = into
  const hashes = at + SCRAPE_REQUEST_HEADER_BYTES
  let count = 0
  for (let name = nextName(); name !== Name.end; name = nextName()) {
    if (name !== Name.infoHash) {
      skipValue()
      continue
    }
    const bytes = decode(scrapedHash, 0, HASH_BYTES)
    if (bytes === BROKEN) return Failure.invalidEncoding
    if (bytes !== HASH_BYTES) return Failure.invalidInfoHash
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

/** Position of scrapedHash among `count` sorted hashes; -1 if it is one of them. */
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
