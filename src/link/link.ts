import type { LinkCounters } from '../counters/link.ts'
import type { Bytes } from '../protocol/bytes.ts'
import type { Failure } from '../protocol/failures.ts'

/** Who asked. Exactly one of the two is called, once, for each submitted request. */
export type Waiter = {
  /** The reply record (announce-record.ts, scrape-record.ts) lies at `at`; the memory is used again after this returns. */
  reply(bytes: Bytes, at: number): void
  /** No reply will come: the link broke, or the engine could not be asked. */
  fail(failure: Failure): void
}

/** A frontend's way to an engine thread: requests in, replies out, batched by event-loop turn. */
export type Link = {
  /** The frame being filled. `reserve` may replace it, so read it again afterwards. */
  readonly open: Bytes
  /**
   * Finds room for a record of `bytes` in the open frame and returns its offset, or -1 when the link is down or
   * too many requests wait. Room that is not submitted is handed out again.
   */
  reserve(bytes: number): number
  /** Sends the record of `bytes` just written at `at`: fills in LENGTH and ID, and flushes at the end of this turn. */
  submit(at: number, bytes: number, waiter: Waiter): void
  /** Resolves once requests can be sent. */
  whenUp(): Promise<void>
  /** Requests submitted and not yet settled. */
  readonly waiting: number
  readonly counters: LinkCounters
  /** Fails what still waits and lets go of the transport. */
  close(): void
}

/**
 * What the engine side does with one request record at `at`: writes the reply record at `replyAt`, except LENGTH and ID,
 * and returns its length. `replyBytesMax` bounds it, so that the caller can make room first.
 */
export type Answer = (request: Bytes, at: number, reply: Bytes, replyAt: number) => number
export type AnswerBytesMax = (request: Bytes, at: number) => number
