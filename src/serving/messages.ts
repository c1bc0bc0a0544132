import type { RpcAnswer, RpcRequest } from '../admin/rpc.ts'
import type { ProcessReport } from '../counters/process-report.ts'
import type { LoggedError, LogSettings } from '../log.ts'
import type { FrontendListeners } from './local-servers.ts'

/** Messages between the primary process and its workers. All of them can be cloned. */

/** Environment variable with the number of a worker, for its log before it gets `start`. */
export const WORKER_VARIABLE = 'MUSTER_WORKER'

/** Message of the primary to a cluster worker. */
export type ToWorker =
  | {
      readonly type: 'start'
      /** Number of the worker, from 1. A replacement has the number of its predecessor. */
      readonly number: number
      /** Id of the process. A replacement has a new one. */
      readonly process: number
      /** Folder of the sockets between workers. */
      readonly folder: string
      readonly socketPath: string
      readonly log: LogSettings
      readonly listeners: FrontendListeners
    }
  /**
   * Another process listens on the addresses. The worker answers when it receives no more
   * connections.
   */
  | { readonly type: 'hand-over' }
  | { readonly type: 'stop' }
  | RpcAnswer

export type FromWorker =
  | RpcRequest
  | { readonly type: 'up' }
  | { readonly type: 'listening' }
  /** Sent once a second, from the event loop that serves. */
  | { readonly type: 'report'; readonly report: ProcessReport }
  | { readonly type: 'failed'; readonly reason: string }
  /** An error that the worker has logged. */
  | {
      readonly type: 'error'
      readonly message: string
      readonly error: LoggedError | undefined
      readonly process: string
    }
  | { readonly type: 'handed-over' }
  | { readonly type: 'stopped' }
