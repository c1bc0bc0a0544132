import { Failure } from '../protocol/failures.ts'
import { Family, type IpFamily } from '../protocol/records.ts'

/**
 * Protocols of the requests counted here; UDP threads have their own counters. The API counts as
 * HTTP.
 */
export const Protocol = { http: 0, websocket: 1 } as const
export type Protocol = (typeof Protocol)[keyof typeof Protocol]

/** Counters per protocol and family; those of failures, by code, follow them. */
export const FrontendCounter = {
  /** Opened connections; uWebSockets.js does not report those of HTTP. */
  connection: 0,
  /** Announces and scrapes answered with success. */
  announce: 1,
  scrape: 2,
  /** Requests for an unknown path. */
  notFound: 3,
  /** Requests that a tracker does not answer: unsupported methods, too many messages or sockets. */
  refused: 4,
  /** Requests to the API, regardless of the answer. */
  api: 5,
  /**
   * WebRTC offers and answers that were relayed, and those that were dropped because no peer waits
   * for them or the peer reads too slowly.
   */
  relayed: 6,
  dropped: 7,
  /** Connections that connections_per_address closed, and those that max_connections closed. */
  overAddress: 8,
  overListener: 9,
} as const
export type FrontendCounter = (typeof FrontendCounter)[keyof typeof FrontendCounter]

const FAILURES_AT = 10
const COUNTERS = FAILURES_AT + Math.max(...Object.values(Failure)) + 1

/**
 * Counters of one process. Whole numbers in doubles do not wrap before 2^53; counting a request
 * costs one addition.
 */
export type FrontendCounters = Float64Array<ArrayBuffer>

export function createFrontendCounters(): FrontendCounters {
  return new Float64Array(Object.keys(Protocol).length * 2 * COUNTERS)
}

export function countFrontend(
  counters: FrontendCounters,
  protocol: Protocol,
  family: IpFamily,
  counter: FrontendCounter,
): void {
  const slot = (protocol * 2 + family) * COUNTERS + counter
  counters[slot] = (counters[slot] as number) + 1
}

export function countFailure(
  counters: FrontendCounters,
  protocol: Protocol,
  family: IpFamily,
  code: Failure,
): void {
  countFrontend(counters, protocol, family, (FAILURES_AT + code) as FrontendCounter)
}

export function readFrontend(
  counters: FrontendCounters,
  protocol: Protocol,
  family: IpFamily,
  counter: FrontendCounter,
): number {
  return counters[(protocol * 2 + family) * COUNTERS + counter] as number
}

export function readFailure(
  counters: FrontendCounters,
  protocol: Protocol,
  family: IpFamily,
  code: Failure,
): number {
  return readFrontend(counters, protocol, family, (FAILURES_AT + code) as FrontendCounter)
}

/** The sum of all failures. */
export function readFailures(
  counters: FrontendCounters,
  protocol: Protocol,
  family: IpFamily,
): number {
  return Object.values(Failure).reduce<number>(
    (sum, code) => sum + readFailure(counters, protocol, family, code),
    0,
  )
}

/** Family of an address of 4 or 16 bytes; IPv4 for an unknown one. */
export function familyOf(address: Uint8Array | undefined): IpFamily {
  return address?.length === 16 ? Family.ipv6 : Family.ipv4
}
