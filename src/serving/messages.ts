import type { MessagePort } from 'node:worker_threads'
import type { RpcAnswer, RpcRequest } from '../admin/rpc.ts'
import type { EngineCounters } from '../counters/engine.ts'
import type { ProcessReport } from '../counters/process-report.ts'
import type { UdpCounters } from '../counters/udp.ts'
import type { EngineRules, EngineSettings, EngineTables } from '../engine/engine.ts'
import type { Control } from '../frontends/udp/receive-loop.ts'
import type { UdpSocket, UdpSocketOptions } from '../frontends/udp/socket.ts'
import type { LogSettings } from '../log.ts'
import type { PathRules } from '../protocol/http/path.ts'
import type { AnnounceRules } from '../protocol/records.ts'
import type { ConnectionSecret } from '../protocol/udp/connection-id.ts'
import type { FrontendListeners } from './local-servers.ts'

/** What crosses the borders between the primary and its workers and threads. All of it can be cloned. */

/** What an engine thread is started with. */
export type EngineThreadStart = {
  readonly tables: EngineTables
  readonly settings: EngineSettings
  readonly clockOffset: number
  readonly index: number
  readonly threads: number
  /** Unix socket to serve links on. */
  readonly socketPath: string
  /** Seconds in which the thread's share of the stripes is swept once. */
  readonly sweepSeconds: number
  /** One word, which the thread adds to as long as its event loop turns. */
  readonly rounds: Int32Array<SharedArrayBuffer>
  readonly counters: EngineCounters
}

/** What a UDP thread is started with. */
export type UdpThreadStart = {
  readonly tables: EngineTables
  readonly settings: EngineSettings
  readonly clockOffset: number
  readonly rules: AnnounceRules
  readonly pathRules: PathRules
  readonly secret: ConnectionSecret
  readonly counters: UdpCounters
  readonly trustedProxies: readonly string[]
  /** A bound socket to receive on with recvmmsg until `control` says stop, or where to listen through dgram. */
  readonly socket: UdpSocket | undefined
  readonly control: Control
  readonly dgram: UdpSocketOptions
}

export type ToEngineThread =
  | { readonly type: 'stop' }
  | { readonly type: 'rules'; readonly rules: EngineRules; readonly sweepSeconds: number }
  | { readonly type: 'link'; readonly port: MessagePort }
  /** Workers were marked as gone: their WebSocket peers are to be taken out. */
  | { readonly type: 'workers-gone' }
export type FromEngineThread = { readonly type: 'ready' }

/** Environment variable with the number of a worker, for its log before it gets `start`. */
export const WORKER_VARIABLE = 'MUSTER_WORKER'

/** What the primary tells a cluster worker. */
export type ToWorker =
  | {
      readonly type: 'start'
      /** Counted from 1; a worker that replaces another has its number. */
      readonly number: number
      /** One that replaces another has a new one. */
      readonly process: number
      /** Where workers have their sockets for each other. */
      readonly folder: string
      readonly socketPath: string
      readonly log: LogSettings
      readonly listeners: FrontendListeners
    }
  /** Another process listens in its place; it tells when no connection begins with it any more. */
  | { readonly type: 'hand-over' }
  | { readonly type: 'stop' }
  | RpcAnswer

export type FromWorker =
  | RpcRequest
  | { readonly type: 'up' }
  | { readonly type: 'listening' }
  /** Once a second, from the event loop that serves. */
  | { readonly type: 'report'; readonly report: ProcessReport }
  | { readonly type: 'failed'; readonly reason: string }
  | { readonly type: 'handed-over' }
  | { readonly type: 'stopped' }
