import type { Bytes } from '../protocol/bytes.ts'
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
import { checkKeys } from './access.ts'
import type { Engine } from './engine.ts'
import { type Arena, stripeHead } from './tables/arena.ts'
import { hashInfoHash } from './tables/keyed-hash.ts'
import { releaseLock, takeLock } from './tables/lock.ts'
import { torrentPeers, torrentSeeders } from './tables/peer-list.ts'
import { findTorrent, stripeOf, torrentCompleted } from './tables/torrents.ts'

/** Writes, if the keys are good, the counts of each torrent asked about, in the order asked, and returns the length of the reply. */
export function scrape(
  engine: Engine,
  request: Bytes,
  at: number,
  reply: Bytes,
  replyAt: number,
  nowSeconds: number,
): number {
  const failure = checkKeys(
    engine.access,
    request.view,
    at + SCRAPE_KEY,
    at + SCRAPE_USER_KEY,
    nowSeconds,
  )
  if (failure !== Failure.none) {
    reply.u8[replyAt + FAILURE] = failure
    return SCRAPE_HEADER_BYTES
  }
  const count = request.view.getUint16(at + HASH_COUNT, true)
  reply.view.setUint16(replyAt + HASH_COUNT, count, true)
  for (let n = 0; n < count; n++) {
    const hashAt = at + SCRAPE_REQUEST_HEADER_BYTES + n * HASH_BYTES
    const entry = replyAt + SCRAPE_HEADER_BYTES + n * ENTRY_BYTES
    for (let byte = 0; byte < HASH_BYTES; byte++) {
      reply.u8[entry + ENTRY_HASH + byte] = request.u8[hashAt + byte] as number
    }
    scrapeOne(engine, request.view, hashAt, reply.view, entry)
  }
  return SCRAPE_HEADER_BYTES + count * ENTRY_BYTES
}

function scrapeOne(
  engine: Engine,
  view: DataView,
  hashAt: number,
  reply: DataView,
  entry: number,
): void {
  const hash = hashInfoHash(engine.hashKey, view, hashAt)
  const number = stripeOf(hash, engine.stripeCount)
  const arena = engine.arenas[number % engine.arenas.length] as Arena
  const stripe = stripeHead(number, engine.arenas.length)
  takeLock(arena, stripe)
  const torrent = findTorrent(arena, stripe, hash, view, hashAt)
  const seeders = torrent === 0 ? 0 : torrentSeeders(arena, torrent)
  const leechers = torrent === 0 ? 0 : torrentPeers(arena, torrent) - seeders
  const completed = torrent === 0 ? 0 : torrentCompleted(arena, torrent)
  releaseLock(arena, stripe)
  reply.setUint32(entry + ENTRY_SEEDERS, seeders, true)
  reply.setUint32(entry + ENTRY_COMPLETED, completed, true)
  reply.setUint32(entry + ENTRY_LEECHERS, leechers, true)
}
