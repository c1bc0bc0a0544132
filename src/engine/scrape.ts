import { Failure } from '../protocol/failures.ts'
import {
  ENTRY_BYTES,
  ENTRY_COMPLETED,
  ENTRY_HASH,
  ENTRY_LEECHERS,
  ENTRY_SEEDERS,
  FAILURE,
  HASH_BYTES,
  HASH_COUNT,
  SCRAPE_HEADER_BYTES,
  SCRAPE_KEY,
  SCRAPE_REQUEST_HEADER_BYTES,
  SCRAPE_USER_KEY,
} from '../protocol/records.ts'
import { checkInfoHash, checkKeys } from './access.ts'
import type { Exchange } from './current-announce.ts'
import { readExtra } from './endpoints.ts'
import type { Engine } from './engine.ts'
import { expirePeers } from './expire.ts'
import { hashInfoHash } from './tables/keyed-hash.ts'
import { torrentPeers, torrentSeeders } from './tables/peer-list.ts'
import { NO_TORRENT } from './tables/references.ts'
import { holdStripeOf, releaseStripe } from './tables/stripe.ts'
import { findTorrent, torrentCompleted } from './tables/torrents.ts'

/**
 * Writes the counts of each requested torrent, in the order of the request, if the keys are valid.
 * Returns the length of the reply.
 */
export function scrape(engine: Engine, exchange: Exchange): number {
  const { request, at, reply, replyAt } = exchange
  const { u8, view } = request
  const failure = engine.access.rules.anonymousScrape
    ? Failure.none
    : checkKeys(engine.access, view, at + SCRAPE_KEY, at + SCRAPE_USER_KEY, true)
  if (failure !== Failure.none) {
    reply.u8[replyAt + FAILURE] = failure
    return SCRAPE_HEADER_BYTES
  }
  const count = view.getUint16(at + HASH_COUNT, true)
  reply.view.setUint16(replyAt + HASH_COUNT, count, true)
  for (let n = 0; n < count; n++) {
    const hashAt = at + SCRAPE_REQUEST_HEADER_BYTES + n * HASH_BYTES
    const entry = replyAt + SCRAPE_HEADER_BYTES + n * ENTRY_BYTES
    for (let byte = 0; byte < HASH_BYTES; byte++) {
      reply.u8[entry + ENTRY_HASH + byte] = u8[hashAt + byte]!
    }
    scrapeOne(engine, exchange, hashAt, entry)
  }
  return SCRAPE_HEADER_BYTES + count * ENTRY_BYTES
}

function scrapeOne(
  engine: Engine,
  { request: { view }, reply: { view: reply }, nowSeconds }: Exchange,
  hashAt: number,
  entry: number,
): void {
  const { access, held } = engine
  const hash = hashInfoHash(held.hashKey, view, hashAt)
  holdStripeOf(held, hash)
  const { arena } = held
  const isListed = checkInfoHash(access, hash, view, hashAt) === Failure.none
  const torrent = isListed ? findTorrent(held, hash, view, hashAt) : NO_TORRENT
  const isKnown = torrent !== NO_TORRENT
  if (isKnown) expirePeers(engine, torrent, nowSeconds)
  const extra = readExtra(engine, hash, view, hashAt)
  const seeders = isKnown ? torrentSeeders(arena, torrent) : 0
  const leechers = isKnown ? torrentPeers(arena, torrent) - seeders - extra.leechers : 0
  const completed = isKnown ? torrentCompleted(arena, torrent) : 0
  releaseStripe(held)
  reply.setUint32(entry + ENTRY_SEEDERS, isKnown ? seeders - extra.seeders : 0, true)
  reply.setUint32(entry + ENTRY_COMPLETED, completed, true)
  reply.setUint32(entry + ENTRY_LEECHERS, leechers, true)
}
