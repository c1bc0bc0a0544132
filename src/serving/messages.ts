import type { RpcAnswer, RpcRequest } from '../admin/rpc.ts'
import type { ProcessReport } from '../counters/process-report.ts'
import type { LogSettings } from '../log.ts'
import type { FrontendListeners } from './local-servers.ts'

/** Messages between the primary process and its workers. All of them can be cloned. */

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
      /** Folder of the sockets between workers. */
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
