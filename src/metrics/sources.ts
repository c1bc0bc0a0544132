import type { EngineCounters } from '../counters/engine.ts'
import type { Processes } from '../counters/processes.ts'
import type { UdpCounters } from '../counters/udp.ts'
import type { LimitName } from '../engine/policy.ts'
import type { Totals } from '../engine/totals.ts'

/** Where the numbers come from: plain functions, so that this room knows nobody who starts or stops anything. */
export type MetricSources = {
  /** First part of the original's names. */
  readonly prometheusId: string
  readonly version: string
  /** Unix seconds. */
  readonly startedSeconds: number
  readonly nowSeconds: () => number
  readonly rules: {
    readonly whitelist: boolean
    readonly blacklist: boolean
    readonly keys: boolean
  }
  readonly totals: () => Totals
  /** Announces that each limit refused. */
  readonly limited: () => Readonly<Record<LimitName, number>>
  /** Of each UDP thread. */
  readonly udp: () => readonly UdpCounters[]
  /** Ports of UDP sockets. */
  readonly udpPorts: () => ReadonlySet<number>
  /** Of each engine thread. */
  readonly engines: () => readonly EngineCounters[]
  readonly processes: Processes
  /** Milliseconds on the clock of `processes`. */
  readonly now: () => number
  readonly entries: () => Readonly<Record<'whitelist' | 'blacklist' | 'keys' | 'users', number>>
  /** Users whose counts wait to be written. */
  readonly usersWaiting: () => number
  /** When ended keys were last removed, in Unix seconds; 0 for never. */
  readonly keysCleanedSeconds: () => number
  /** Undefined without a database. */
  readonly database: () => DatabaseState | undefined
  /** Undefined without snapshots. */
  readonly snapshots: () => SnapshotState | undefined
}

export type DatabaseState = {
  readonly healthy: boolean
  readonly failures: number
  readonly writes: number
  readonly rows: number
  readonly busySeconds: number
  readonly writtenSeconds: number
}

export type SnapshotState = {
  readonly lastWrite:
    | { readonly createdSeconds: number; readonly bytes: number; readonly millis: number }
    | undefined
  readonly failures: number
}
