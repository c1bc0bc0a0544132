import {
  countFailure,
  countFrontend,
  FrontendCounter,
  type FrontendCounters,
  familyOf,
  Protocol,
} from '../../counters/frontend.ts'
import type { Waiter } from '../../link/link.ts'
import type { Bytes } from '../../protocol/bytes.ts'
import { Failure, type FailureAnswers } from '../../protocol/failures.ts'
import {
  announceAnswerBytesMax,
  FAILURE_BYTES_MAX,
  formatAnnounce,
  formatFailure,
  formatScrape,
  scrapeAnswerBytesMax,
} from '../../protocol/http/response.ts'
import { FAILURE, type IpFamily } from '../../protocol/records.ts'
import type { HttpRequest, HttpResponse } from '../uws.ts'

const ANSWER_BYTES_AT_FIRST = 16 * 1024
const NO_ADDRESS = new Uint8Array(0)

/** A header that every answer has, as bytes: strings would be converted for each. */
const encoder = new TextEncoder()
const CONTENT_TYPE = encoder.encode('content-type').buffer
const TEXT_PLAIN = encoder.encode('text/plain').buffer

/** The requests of one server that wait for the engine, and the memory in which all their answers are built. */
export type HttpAnswers = {
  readonly waiting: number
  /** From when it is set on, every answer is its connection's last. */
  closing: boolean
  /** Answers at once with a bencoded `failure reason`. `address` is the asker's, where it is known. */
  fail(
    response: HttpResponse,
    request: HttpRequest,
    address: Uint8Array | undefined,
    code: Failure,
  ): void
  /** `address` is counted, and told to who announces (BEP 24). */
  expectAnnounce(response: HttpResponse, request: HttpRequest, address: Uint8Array): Waiter
  expectScrape(
    response: HttpResponse,
    request: HttpRequest,
    address: Uint8Array | undefined,
  ): Waiter
}

/** One request on its way. Pooled: its functions are made once, and it goes back only when the link has settled it. */
type Pending = Waiter & {
  response: HttpResponse | undefined
  address: Uint8Array
  isAnnounce: boolean
  isHead: boolean
  readonly aborted: () => void
}

/** `minInterval` in seconds. Answers are counted whether or not the asker still waits. */
export function createAnswers(
  minInterval: number,
  failures: FailureAnswers,
  counters: FrontendCounters,
): HttpAnswers {
  let out = new Uint8Array(ANSWER_BYTES_AT_FIRST)
  const pool: Pending[] = []
  let waiting = 0

  function ensure(bytes: number): void {
    if (bytes > out.length) out = new Uint8Array(Math.max(bytes, out.length * 2))
  }

  // What `write` sends; set right before, because cork takes a function without arguments.
  let corked: HttpResponse | undefined
  let corkedBytes = 0
  let corkedHead = false

  function write(): void {
    if (!corked) return
    corked.writeHeader(CONTENT_TYPE, TEXT_PLAIN)
    if (corkedHead) {
      if (answers.closing) corked.writeHeader('connection', 'close')
      // Given the length itself, endWithoutBody would wait for a body.
      corked.writeHeader('content-length', String(corkedBytes)).endWithoutBody()
    } else corked.end(out.subarray(0, corkedBytes), answers.closing)
  }

  function send(response: HttpResponse, bytes: number, isHead: boolean): void {
    corked = response
    corkedBytes = bytes
    corkedHead = isHead
    response.cork(write)
    corked = undefined
  }

  function format(pending: Pending, reply: Bytes, at: number): number {
    const failure = reply.u8[at + FAILURE]
    if (failure) {
      ensure(FAILURE_BYTES_MAX)
      return formatFailure(failures, failure, out, 0)
    }
    if (pending.isAnnounce) {
      ensure(announceAnswerBytesMax(reply, at))
      return formatAnnounce(reply, at, pending.address, minInterval, out, 0)
    }
    ensure(scrapeAnswerBytesMax(reply, at))
    return formatScrape(reply, at, minInterval, out, 0)
  }

  function countAnswer(family: IpFamily, isAnnounce: boolean, failure: Failure): void {
    const counter = isAnnounce ? FrontendCounter.announce : FrontendCounter.scrape
    if (failure === Failure.none) countFrontend(counters, Protocol.http, family, counter)
    else countFailure(counters, Protocol.http, family, failure)
  }

  function finish(pending: Pending, bytes: number): void {
    if (pending.response) send(pending.response, bytes, pending.isHead)
    pending.response = undefined
    pending.address = NO_ADDRESS
    waiting--
    pool.push(pending)
  }

  function createPending(): Pending {
    const pending: Pending = {
      response: undefined,
      address: NO_ADDRESS,
      isAnnounce: true,
      isHead: false,
      reply(bytes, at) {
        const failure = bytes.u8[at + FAILURE] as Failure
        countAnswer(familyOf(pending.address), pending.isAnnounce, failure)
        finish(pending, pending.response ? format(pending, bytes, at) : 0)
      },
      fail(code) {
        countAnswer(familyOf(pending.address), pending.isAnnounce, code)
        finish(pending, pending.response ? formatFailure(failures, code, out, 0) : 0)
      },
      aborted() {
        pending.response = undefined
      },
    }
    return pending
  }

  function expect(
    response: HttpResponse,
    request: HttpRequest,
    address: Uint8Array | undefined,
    isAnnounce: boolean,
  ): Pending {
    const pending = pool.pop() ?? createPending()
    pending.response = response
    pending.address = address ?? NO_ADDRESS
    pending.isAnnounce = isAnnounce
    pending.isHead = request.getMethod() === 'head'
    response.onAborted(pending.aborted)
    waiting++
    return pending
  }

  const answers: HttpAnswers = {
    closing: false,
    get waiting() {
      return waiting
    },
    fail(response, request, address, code) {
      countFailure(counters, Protocol.http, familyOf(address), code)
      ensure(FAILURE_BYTES_MAX)
      send(response, formatFailure(failures, code, out, 0), request.getMethod() === 'head')
    },
    expectAnnounce: (response, request, address) => expect(response, request, address, true),
    expectScrape: (response, request, address) => expect(response, request, address, false),
  }
  return answers
}
