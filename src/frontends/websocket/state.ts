import type { FrontendCounters } from '../../counters/frontend.ts'
import type { Link } from '../../link/link.ts'
import type { ClientAddresses } from './client-addresses.ts'
import type { WebsocketLimits } from './limits.ts'
import type { RefusalLog } from './refusal-log.ts'
import type { Relay } from './relay.ts'
import type { Removal } from './removal.ts'
import type { Session } from './session.ts'
import type { WorkerTransport } from './worker-relay.ts'

/** State of the WebTorrent tracker of one process. */
export type Tracker = {
  /** Number of this process, by which other processes find its sockets. */
  readonly worker: number
  readonly link: Link
  readonly counters: FrontendCounters
  /** Open sockets by their number. */
  readonly sessions: Map<number, Session>
  readonly addresses: ClientAddresses
  readonly relay: Relay
  /** Undefined where there is only one process and node. */
  workers: WorkerTransport | undefined
  readonly removal: Removal
  readonly refusals: RefusalLog
  limits: WebsocketLimits
  lastNumber: number
  /** Requests that the engine has not answered. */
  inFlight: number
  /** Sessions with messages that wait, and the bytes of these. */
  readonly slowed: Set<Session>
  waitingBytes: number
}

/** Seconds of the monotonic clock that all rates here use. */
export function monotonicSeconds(): number {
  return performance.now() / 1000
}
