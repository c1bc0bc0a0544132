import cluster from 'node:cluster'
import { fileURLToPath } from 'node:url'
import { unavailableError } from '../errors.ts'
import type { Logger, LogSettings } from '../log.ts'
import { threadUrl } from '../thread-url.ts'
import { SEMI_SPACE_MIB } from '../young-generation.ts'
import type { FrontendListeners } from './local-servers.ts'
import type { FromWorker } from './messages.ts'
import { type Child, type Death, Supervisor } from './supervisor.ts'
import { WorkerProcess, type WorkerProcessOptions, workerName } from './worker-process.ts'

export type WorkersOptions = WorkerProcessOptions & { readonly count: number }

/**
 * Early deaths of a worker in a row after which further ones are not logged until it runs longer.
 */
const QUICK_DEATHS_LOGGED_MAX = 5

/** The cluster workers, which are forked and kept running. */
export class Workers {
  readonly #options: WorkersOptions
  readonly #supervisor: Supervisor
  /** Numbers of the workers that have listened. */
  readonly #listen = new Set<number>()
  /** Settings of the workers that start from now on. */
  #current: Pick<WorkersOptions, 'listeners' | 'logSettings'>
  #allListen = () => {}
  #cannotListen = (_: Error) => {}
  /**
   * Resolves when every worker listens. Rejects with an OperatorError if one cannot, which is
   * unlikely once the addresses are reserved.
   */
  readonly listening = new Promise<void>((resolve, reject) => {
    this.#allListen = resolve
    this.#cannotListen = reject
  })

  constructor(options: WorkersOptions) {
    this.#options = options
    this.#current = options
    // Later failures to listen are left to the supervisor.
    this.listening.catch(() => {})
    // Structured clones keep undefined values, which JSON turns into null.
    cluster.setupPrimary({
      serialization: 'advanced',
      exec: fileURLToPath(threadUrl('./worker', import.meta.url)),
      args: [],
      // First, because the last flag wins, so that the operator's flags do.
      execArgv: [`--max-semi-space-size=${SEMI_SPACE_MIB}`, ...process.execArgv],
    })
    this.#supervisor = new Supervisor({
      count: options.count,
      now: () => performance.now(),
      setTimer: (run, millis) => {
        const timer = setTimeout(run, millis)
        return { cancel: () => clearTimeout(timer) }
      },
      start: (n, exited, ready) => this.#fork(n, exited, ready),
      leaveMillis: () => this.#current.listeners.websocket.drainTime * 1000,
      died: death => {
        options.processes.died()
        logDeath(options.log, death)
      },
    })
  }

  /**
   * Replaces the workers one after the other with workers for these listeners. No connection is
   * refused. Rejects if a new one cannot listen; then the old listeners stay in effect.
   */
  async replace(listeners: FrontendListeners, logSettings: LogSettings): Promise<void> {
    const before = this.#current
    this.#current = { listeners, logSettings }
    for (let n = 0; n < this.#options.count; n++) {
      try {
        await this.#supervisor.replace(n)
      } catch (error) {
        this.#current = before
        // Restores the replaced workers. A worker that fails now is restarted later.
        for (let done = 0; done < n; done++) await this.#supervisor.replace(done).catch(() => {})
        throw new Error(`worker ${n + 1} could not be replaced: ${(error as Error).message}`)
      }
    }
  }

  stop(millis: number): Promise<void> {
    return this.#supervisor.stop(millis)
  }

  kill(): void {
    this.#supervisor.kill()
  }

  #fork(n: number, exited: (why: string) => void, ready: () => void): Child {
    const received = (message: FromWorker) => {
      if (message.type === 'listening') ready()
      this.#receiveListening(n, message)
    }
    const { listeners, logSettings } = this.#current
    return new WorkerProcess(n, { ...this.#options, listeners, logSettings }, exited, received)
  }

  #receiveListening(n: number, message: FromWorker): void {
    if (message.type === 'failed') {
      const { reason } = message
      this.#options.log.error({ process: workerName(n + 1), reason }, 'worker cannot listen')
      this.#cannotListen(unavailableError(reason))
    }
    if (message.type === 'listening' && this.#listen.add(n).size === this.#options.count) {
      this.#allListen()
    }
  }
}

function logDeath(log: Logger, { n, pid, why, quickDeaths, restartMillis }: Death): void {
  const fields = {
    process: workerName(n + 1),
    pid,
    reason: why,
    restart_ms: restartMillis,
  }
  if (quickDeaths < QUICK_DEATHS_LOGGED_MAX) log.warn(fields, 'worker died')
  else if (quickDeaths === QUICK_DEATHS_LOGGED_MAX) log.error(fields, 'worker keeps dying')
  else log.debug(fields, 'worker died')
}
