import type { Bytes } from '../protocol/bytes.ts'
import {
  ENTRY_BYTES,
  FAMILY,
  HASH_COUNT,
  KIND,
  Kind,
  NUMWANT,
  REPLY_HEADER_BYTES,
  replyBytesMax,
  SCRAPE_HEADER_BYTES,
} from '../protocol/records.ts'
import { announce } from './announce.ts'
import { readAnnounce } from './current-announce.ts'
import type { Engine } from './engine.ts'
import { leave } from './leave.ts'
import { scrape } from './scrape.ts'

/** The largest reply, in bytes, that the request record at `at` can cause. */
export function answerBytesMax(request: Bytes, at: number): number {
  if (request.u8[at + KIND] === Kind.scrape) {
    return SCRAPE_HEADER_BYTES + request.view.getUint16(at + HASH_COUNT, true) * ENTRY_BYTES
  }
  return replyBytesMax(request.view.getUint16(at + NUMWANT, true), request.u8[at + FAMILY]!)
}

/**
 * Answers the request record at `at` with a reply record at `replyAt` and returns the length of the
 * reply (records.ts; LENGTH and ID belong to the link). `nowSeconds` is Unix time
 * from a clock that does not jump.
 */
export function answer(
  engine: Engine,
  request: Bytes,
  at: number,
  reply: Bytes,
  replyAt: number,
  nowSeconds: number,
): number {
  const current = engine.announce
  current.request = request
  current.at = at
  current.reply = reply
  current.replyAt = replyAt
  current.nowSeconds = nowSeconds
  const kind = request.u8[at + KIND]!
  for (let n = replyAt + KIND; n < replyAt + REPLY_HEADER_BYTES; n += 4) {
    reply.view.setInt32(n, 0)
  }
  reply.u8[replyAt + KIND] = kind
  if (kind === Kind.scrape) return scrape(engine, current)
  readAnnounce(current, engine.hashKey)
  if (kind === Kind.leave) {
    leave(engine, current)
    return REPLY_HEADER_BYTES
  }
  return announce(engine, current)
}
