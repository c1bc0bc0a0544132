import { Failure } from '../protocol/failures.ts'
import { Family, type IpFamily } from '../protocol/records.ts'

/** Protocols whose requests are counted here; UDP threads have counters of their own. The API is HTTP too. */
export const Protocol = { http: 0, websocket: 1 } as const
export type Protocol = (typeof Protocol)[keyof typeof Protocol]

/** What is counted per protocol and family, beside failures by their code. */
export const FrontendCounter = {
  /** Opened connections; uWebSockets.js does not tell of those of HTTP. */
  connection: 0,
  /** Announces and scrapes answered with success. */
  announce: 1,
  scrape: 2,
  /** Requests for a path that there is not. */
  notFound: 3,
  /** What is no request that a tracker answers: another method than GET and HEAD, too many messages or sockets. */
  refused: 4,
  /** Requests to the API, whatever the answer. */
  api: 5,
  /** Offers and answers of WebSocket peers that were passed on, and those that were not: to nobody who waits for them, or who is too slow. */
  relayed: 6,
  dropped: 7,
  /** Connections that were ended because of connections_per_address, and of max_connections. */
  overAddress: 8,
  overListener: 9,
} as const
export type FrontendCounter = (typeof FrontendCounter)[keyof typeof FrontendCounter]

const FAILURES_AT = 10
const COUNTERS = FAILURES_AT + Math.max(...Object.values(Failure)) + 1

/** The counters of one process. Whole numbers in doubles, so that nothing wraps before 2^53; one addition is all that a request costs. */
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

/** All failures together. */
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

/** Family of an address of 4 or 16 bytes; IPv4 for one that is not known. */
export function familyOf(address: Uint8Array | undefined): IpFamily {
  return address?.length === 16 ? Family.ipv6 : Family.ipv4
}
