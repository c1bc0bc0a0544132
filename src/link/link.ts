import type { LinkCounters } from '../counters/link.ts'
import type { Bytes } from '../protocol/bytes.ts'
import { Failure } from '../protocol/failures.ts'

/** Receives the outcome of a submitted request: exactly one of the two is called, once. */
export type Waiter = {
  /** The reply record lies at `at`. The memory is reused after this returns. */
  reply(bytes: Bytes, at: number): void
  /** Called when there is no reply: the link broke, or the engine could not be reached. */
  fail(failure: Failure): void
}

/** A frontend's link to an engine thread, which batches requests by event-loop turn. */
export type Link = {
  /** Memory of the frame being filled. `reserve` may replace it, so read it again afterwards. */
  readonly open: Bytes
  /**
   * Reserves space for a record of `bytes` in the open frame and returns its offset, or -1 when the
   * link is down or too many requests wait. Space that is not submitted is reserved again.
   */
  reserve(bytes: number): number
  /**
   * Sends the record of `bytes` just written at `at`: fills in LENGTH and ID, and flushes at the
   * end of this turn.
   */
  submit(at: number, bytes: number, waiter: Waiter): void
  /** Resolves once requests can be sent. */
  whenUp(): Promise<void>
  /** Requests submitted and not yet settled. */
  readonly waiting: number
  readonly counters: LinkCounters
  /** Fails the requests that still wait and closes the transport. */
  close(): void
}

/**
 * Answers the request record at `at` on the engine side: writes the reply record at `replyAt`,
 * except LENGTH and ID, and returns its length.
 */
export type Answer = (request: Bytes, at: number, reply: Bytes, replyAt: number) => number
/** Upper bound of the length that `Answer` returns for the record at `at`. */
export type AnswerBytesMax = (request: Bytes, at: number) => number

/** Failure for a request that `reserve` refused: the link is full, or down. */
export function refusedFailure(link: Link): Failure {
  return link.waiting > 0 ? Failure.overloaded : Failure.unavailable
}
