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
import type { ExternalIp } from '../../protocol/external-ip.ts'
import { Failure, type FailureAnswers } from '../../protocol/failures.ts'
import {
  announceAnswerBytesMax,
  FAILURE_BYTES_MAX,
  formatAnnounce,
  formatFailure,
  formatScrape,
  scrapeAnswerBytesMax,
} from '../../protocol/http/response.ts'
import { replaceLocalPeers } from '../../protocol/local-peers.ts'
import { FAILURE } from '../../protocol/records.ts'
import type { HttpRequest, HttpResponse } from '../adapter.ts'
import { endHead, endWhole } from '../end-response.ts'
import type { Page } from './pages.ts'

const ANSWER_BYTES_AT_FIRST = 16 * 1024
const NO_ADDRESS = new Uint8Array(0)

/** Headers of every answer, as bytes: uWebSockets.js would convert strings each time. */
const encoder = new TextEncoder()
const CONTENT_TYPE = encoder.encode('content-type').buffer
const TEXT_PLAIN = encoder.encode('text/plain').buffer
const ALLOW_ORIGIN = encoder.encode('access-control-allow-origin').buffer
const ANY = encoder.encode('*').buffer

/** The options of a server that its answers depend on. */
type AnswerRules = {
  readonly externalIp?: ExternalIp | undefined
  readonly failures: FailureAnswers
  /** Seconds. */
  readonly minInterval: number
}

/**
 * The requests of one server that are not answered yet, and the memory in which their answers are
 * built.
 */
export class HttpAnswers {
  /** Once set, every answer is the last one of its connection. */
  closing = false
  readonly #externalIp: ExternalIp | undefined
  readonly #minInterval: number
  readonly #failures: FailureAnswers
  readonly #counters: FrontendCounters
  readonly #pool: Pending[] = []
  #waiting = 0
  #out = new Uint8Array(ANSWER_BYTES_AT_FIRST)
  /** Answered in the next turn of the event loop, with a page or a failure. */
  #deferred: Pending[] = []

  constructor({ externalIp, failures, minInterval }: AnswerRules, counters: FrontendCounters) {
    this.#externalIp = externalIp
    this.#minInterval = minInterval
    this.#failures = failures
    this.#counters = counters
  }

  /** Requests that are not answered yet. */
  get waiting(): number {
    return this.#waiting
  }

  /**
   * Answers an announce when the link calls the waiter. `address` is counted, and sent back (BEP
   * 24).
   */
  announce(response: HttpResponse, request: HttpRequest, address: Uint8Array): Waiter {
    return this.#expect(response, request, address, true)
  }

  scrape(response: HttpResponse, request: HttpRequest, address: Uint8Array | undefined): Waiter {
    return this.#expect(response, request, address, false)
  }

  /** Answers with a bencoded `failure reason`. `address` is the client's, if it is known. */
  fail(
    response: HttpResponse,
    request: HttpRequest,
    address: Uint8Array | undefined,
    code: Failure,
  ): void {
    countFailure(this.#counters, Protocol.http, familyOf(address), code)
    const pending = this.#expect(response, request, address, true)
    pending.failure = code
    this.#defer(pending)
  }

  /** Answers with a page. */
  page(response: HttpResponse, request: HttpRequest, page: Page): void {
    const pending = this.#expect(response, request, undefined, true)
    pending.page = page
    this.#defer(pending)
  }

  /** Answers an announce with a page or a failure, when the returned function is called. */
  later(
    response: HttpResponse,
    request: HttpRequest,
    address: Uint8Array | undefined,
  ): (outcome: Page | Failure) => void {
    const pending = this.#expect(response, request, address, true)
    return outcome => {
      if (typeof outcome === 'number') return this.failed(pending, outcome)
      this.#count(pending, Failure.none)
      pending.page = outcome
      this.#finish(pending, 0)
    }
  }

  /** Called by a pending request with the reply of the engine. */
  replied(pending: Pending, bytes: Bytes, at: number): void {
    this.#count(pending, bytes.u8[at + FAILURE] as Failure)
    this.#finish(pending, pending.response ? this.#format(pending, bytes, at) : 0)
  }

  /** Called by a pending request that gets no reply. */
  failed(pending: Pending, code: Failure): void {
    this.#count(pending, code)
    this.#finish(pending, pending.response ? formatFailure(this.#failures, code, this.#out) : 0)
  }

  /** Writes an answer of `bytes` in the memory of the answers; called within `cork`. */
  write(response: HttpResponse, bytes: number, pending: Pending): void {
    if (pending.page) {
      writePage(response, pending.page, pending, this.closing)
      return
    }
    response.writeHeader(CONTENT_TYPE, TEXT_PLAIN)
    if (pending.hasOrigin) response.writeHeader(ALLOW_ORIGIN, ANY)
    if (pending.isHead) endHead(response, bytes, this.closing)
    else endWhole(response, this.#out.subarray(0, bytes), this.closing)
  }

  #expect(
    response: HttpResponse,
    request: HttpRequest,
    address: Uint8Array | undefined,
    isAnnounce: boolean,
  ): Pending {
    const pending = this.#pool.pop() ?? new Pending(this)
    pending.response = response
    pending.address = address ?? NO_ADDRESS
    pending.isAnnounce = isAnnounce
    pending.isHead = request.getMethod() === 'head'
    pending.hasOrigin = request.getHeader('origin') !== ''
    response.onAborted(pending.aborted)
    this.#waiting++
    return pending
  }

  /**
   * Nothing is answered within its handler: uWebSockets.js would continue with the next request of
   * the connection, however much the client has left unread. It closes the connection of a client
   * that sends another request before the answer.
   */
  #defer(pending: Pending): void {
    if (this.#deferred.push(pending) === 1) setImmediate(this.#flush)
  }

  readonly #flush = (): void => {
    const deferred = this.#deferred
    this.#deferred = []
    for (const pending of deferred) {
      const bytes = pending.page ? 0 : formatFailure(this.#failures, pending.failure, this.#out)
      this.#finish(pending, bytes)
    }
  }

  #format(pending: Pending, reply: Bytes, at: number): number {
    const failure = reply.u8[at + FAILURE]
    if (failure) {
      this.#ensure(FAILURE_BYTES_MAX)
      return formatFailure(this.#failures, failure, this.#out)
    }
    if (pending.isAnnounce) {
      if (this.#externalIp) replaceLocalPeers(reply, at, this.#externalIp)
      this.#ensure(announceAnswerBytesMax(reply, at))
      return formatAnnounce(reply, at, pending.address, this.#minInterval, this.#out)
    }
    this.#ensure(scrapeAnswerBytesMax(reply, at))
    return formatScrape(reply, at, this.#minInterval, this.#out)
  }

  #ensure(bytes: number): void {
    if (bytes > this.#out.length) this.#out = new Uint8Array(Math.max(bytes, this.#out.length * 2))
  }

  /** Answers are counted whether or not the client still waits. */
  #count(pending: Pending, failure: Failure): void {
    const family = familyOf(pending.address)
    const counter = pending.isAnnounce ? FrontendCounter.announce : FrontendCounter.scrape
    if (failure === Failure.none) countFrontend(this.#counters, Protocol.http, family, counter)
    else countFailure(this.#counters, Protocol.http, family, failure)
  }

  #finish(pending: Pending, bytes: number): void {
    pending.send(bytes)
    this.#waiting--
    this.#pool.push(pending)
  }
}

/**
 * A request that is not answered yet. Pooled: its functions are made once, and it is reused when
 * the link has settled it.
 */
class Pending implements Waiter {
  response: HttpResponse | undefined
  address: Uint8Array = NO_ADDRESS
  isAnnounce = true
  isHead = false
  hasOrigin = false
  failure: Failure = Failure.none
  page: Page | undefined
  readonly #answers: HttpAnswers
  #bytes = 0

  constructor(answers: HttpAnswers) {
    this.#answers = answers
  }

  readonly aborted = (): void => {
    this.response = undefined
  }

  reply(bytes: Bytes, at: number): void {
    this.#answers.replied(this, bytes, at)
  }

  fail(code: Failure): void {
    this.#answers.failed(this, code)
  }

  /**
   * Sends the answer of `bytes` bytes, unless the client has disconnected, and releases the
   * request.
   */
  send(bytes: number): void {
    this.#bytes = bytes
    this.response?.cork(this.#write)
    this.response = undefined
    this.address = NO_ADDRESS
    this.page = undefined
  }

  readonly #write = (): void => {
    if (this.response) this.#answers.write(this.response, this.#bytes, this)
  }
}

function writePage(
  response: HttpResponse,
  page: Page,
  { hasOrigin, isHead }: Pending,
  isClosing: boolean,
): void {
  response.writeStatus(page.status)
  for (const [name, value] of page.headers) response.writeHeader(name, value)
  if (hasOrigin) response.writeHeader(ALLOW_ORIGIN, ANY)
  const isLast = isClosing || page.closes
  if (page.body === undefined) endHead(response, undefined, isLast)
  else if (isHead) endHead(response, Buffer.byteLength(page.body), isLast)
  else endWhole(response, page.body, isLast)
}
