import cluster, { type Worker } from 'node:cluster'
import type { Admin } from '../admin/admin.ts'
import { answerRemote } from '../admin/rpc.ts'
import type { Processes } from '../counters/processes.ts'
import { type Logger, type LogSettings, passError } from '../log.ts'
import { type Watched, watchProgress } from '../progress.ts'
import type { FrontendListeners } from './local-servers.ts'
import { type FromWorker, type ToWorker, WORKER_VARIABLE } from './messages.ts'
import type { Child } from './supervisor.ts'
import type { WorkerNumbers } from './worker-ids.ts'

export type WorkerProcessOptions = {
  readonly listeners: FrontendListeners
  readonly admin: Admin
  /** Receives each worker's start, exit and reports. */
  readonly processes: Processes
  readonly socketPathFor: (n: number) => string
  /** Folder of the sockets between workers. */
  readonly folder: string
  readonly numbers: WorkerNumbers
  readonly logSettings: LogSettings
  readonly log: Logger
}

const CHECK_MILLIS = 1000
/**
 * Checks without a report after which a worker is stuck. A starting worker may load from a slow
 * disk.
 */
const SILENT_CHECKS_MAX = 10
const STARTING_CHECKS_MAX = 60

/** Name of a worker in the log, by its number. */
export function workerName(number: number): string {
  return `worker-${number}`
}

/** One cluster worker: its messages, and the check that it makes progress. */
export class WorkerProcess implements Child {
  readonly #n: number
  readonly #options: WorkerProcessOptions
  readonly #worker: Worker
  readonly #id: number
  /** Fields of the log lines about this worker. */
  readonly #about: { readonly process: string; readonly pid?: number }
  readonly #checking: NodeJS.Timeout
  readonly #received: (message: FromWorker) => void
  readonly #exited: (why: string) => void
  #isUp = false
  #messages = 0
  #progress: Watched
  #resolveHandedOver = () => {}
  readonly #handedOver = new Promise<void>(resolve => {
    this.#resolveHandedOver = resolve
  })

  /** Forks worker `n`. Calls `received` with its messages, and `exited` once, with the reason. */
  constructor(
    n: number,
    options: WorkerProcessOptions,
    exited: (why: string) => void,
    received: (message: FromWorker) => void,
  ) {
    this.#n = n
    this.#options = options
    this.#exited = exited
    this.#received = received
    this.#worker = cluster.fork({ [WORKER_VARIABLE]: String(n + 1) })
    this.#about = {
      process: workerName(n + 1),
      ...(this.pid !== undefined && { pid: this.pid }),
    }
    this.#id = options.numbers.next()
    if (this.pid !== undefined) options.processes.started(n + 1, this.pid)
    this.#progress = watchProgress(() => this.#messages, STARTING_CHECKS_MAX)
    this.#checking = setInterval(() => this.#check(), CHECK_MILLIS)
    this.#listen()
  }

  get pid(): number | undefined {
    return this.#worker.process.pid
  }

  handOver(): Promise<void> {
    this.#send({ type: 'hand-over' })
    return this.#handedOver
  }

  stop(): void {
    // A starting worker cannot receive the message, and does not have connections yet.
    if (this.#isUp) this.#send({ type: 'stop' })
    else this.kill()
  }

  kill(): void {
    this.#worker.process.kill('SIGKILL')
  }

  #send(message: ToWorker): void {
    if (this.#worker.isConnected()) this.#worker.send(message, undefined, () => {})
  }

  #listen(): void {
    this.#worker.on('message', (message: FromWorker) => this.#handle(message))
    this.#worker.once('exit', (code, signal) => this.#end(signal ?? `exit status ${code}`))
    // The last reports of a worker arrive before `disconnect`.
    this.#worker.once('disconnect', () => {
      if (this.pid !== undefined) this.#options.processes.exited(this.pid)
    })
    // Without a free process or file descriptor there is no child, and no `exit` event.
    this.#worker.on('error', error => {
      if (this.pid === undefined) this.#end(error.message)
    })
  }

  #check(): void {
    if (!this.#progress.stalled()) return
    this.#options.log.error(this.#about, 'worker makes no progress; killing it')
    this.kill()
  }

  #end(why: string): void {
    clearInterval(this.#checking)
    this.#resolveHandedOver()
    this.#options.numbers.release(this.#id)
    this.#exited(why)
  }

  #handle(message: FromWorker): void {
    const { admin, log, processes } = this.#options
    this.#messages++
    if (message.type === 'up') this.#start()
    if (message.type === 'listening') {
      this.#progress = watchProgress(() => this.#messages, SILENT_CHECKS_MAX)
      log.info(this.#about, 'worker started')
    }
    if (message.type === 'handed-over') this.#resolveHandedOver()
    if (message.type === 'error') passError(message.message, message.error, message.process)
    if (message.type === 'report' && this.pid !== undefined) {
      processes.reported(this.pid, message.report)
    }
    if (message.type === 'rpc-call') {
      const { method } = message
      const send = (answer: ToWorker) => this.#send(answer)
      void answerRemote(admin, message, send, err => {
        log.error({ ...this.#about, err, method }, 'API request failed')
      })
    }
    this.#received(message)
  }

  #start(): void {
    const { folder, listeners, logSettings, socketPathFor } = this.#options
    this.#isUp = true
    this.#send({
      type: 'start',
      number: this.#n + 1,
      process: this.#id,
      folder,
      socketPath: socketPathFor(this.#n),
      log: logSettings,
      listeners,
    })
  }
}
