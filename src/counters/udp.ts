import { Failure } from '../protocol/failures.ts'
import { Family, type IpFamily } from '../protocol/records.ts'
import { type Histogram, histogramLength, SECONDS_BOUNDS } from './histogram.ts'

/**
 * Counters of a UDP thread, per family. `connect`, `announce` and `scrape` are requests answered
 * with success.
 */
export const UdpCounter = {
  received: 0,
  connect: 1,
  announce: 2,
  scrape: 3,
  /** Error packets: a well-formed request with a proven connection id failed. */
  error: 4,
  badConnectionId: 5,
  garbage: 6,
  /** A datagram that is longer than any request. */
  truncated: 7,
  sent: 8,
  sendFailed: 9,
  receiveFailed: 10,
} as const
export type UdpCounter = (typeof UdpCounter)[keyof typeof UdpCounter]

/** Failures follow, by their code; `error` is their sum. */
const FAILURES_AT = 16
export const UDP_COUNTERS_PER_FAMILY = FAILURES_AT + Math.max(...Object.values(Failure)) + 1
const BATCH_SECONDS_AT = 2 * UDP_COUNTERS_PER_FAMILY

/**
 * One thread's counters, in memory that others read while it writes. One writer, so no locks; whole
 * numbers in doubles, so no carry between two words and nothing wraps before 2^53.
 */
export type UdpCounters = Float64Array<SharedArrayBuffer>

export function createUdpCounters(): UdpCounters {
  const length = BATCH_SECONDS_AT + histogramLength(SECONDS_BOUNDS)
  return new Float64Array(new SharedArrayBuffer(length * 8))
}

export function count(
  counters: UdpCounters,
  family: IpFamily,
  counter: UdpCounter,
  amount: number,
): void {
  const slot = family * UDP_COUNTERS_PER_FAMILY + counter
  counters[slot] = (counters[slot] as number) + amount
}

/** Counts an error packet and its failure. */
export function countUdpFailure(counters: UdpCounters, family: IpFamily, code: Failure): void {
  count(counters, family, UdpCounter.error, 1)
  count(counters, family, (FAILURES_AT + code) as UdpCounter, 1)
}

/** Time from receiving a batch of datagrams to sending its answers. */
export function batchSeconds(counters: UdpCounters): Histogram {
  return counters.subarray(BATCH_SECONDS_AT)
}

/** Error packets that several threads sent because of `code`, per family. */
export function sumUdpFailures(
  threads: readonly UdpCounters[],
  code: Failure,
): [ipv4: number, ipv6: number] {
  const counter = (FAILURES_AT + code) as UdpCounter
  const sum = (family: IpFamily) =>
    threads.reduce((total, counters) => total + readCount(counters, family, counter), 0)
  return [sum(Family.ipv4), sum(Family.ipv6)]
}

export function readCount(counters: UdpCounters, family: IpFamily, counter: UdpCounter): number {
  return counters[family * UDP_COUNTERS_PER_FAMILY + counter] as number
}

/** The sums over several threads, per family. */
export function sumUdpCounters(
  threads: readonly UdpCounters[],
): Record<keyof typeof UdpCounter, [ipv4: number, ipv6: number]> {
  const sum = (counter: UdpCounter, family: IpFamily) =>
    threads.reduce((total, counters) => total + readCount(counters, family, counter), 0)
  return mapValues(UdpCounter, counter => [sum(counter, Family.ipv4), sum(counter, Family.ipv6)])
}

function mapValues<K extends string, V, W>(
  record: Record<K, V>,
  map: (value: V) => W,
): Record<K, W> {
  const entries = Object.entries(record) as [K, V][]
  return Object.fromEntries(entries.map(([key, value]) => [key, map(value)])) as Record<K, W>
}
