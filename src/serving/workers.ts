import cluster from 'node:cluster'
import { fileURLToPath } from 'node:url'
import type { Admin } from '../admin/admin.ts'
import { answerRemote } from '../admin/rpc.ts'
import type { Processes } from '../counters/processes.ts'
import { unavailableError } from '../errors.ts'
import type { Logger, LogSettings } from '../log.ts'
import { watchProgress } from '../progress.ts'
import { threadUrl } from '../thread-url.ts'
import type { FrontendListeners } from './local-servers.ts'
import { type FromWorker, type ToWorker, WORKER_VARIABLE } from './messages.ts'
import { type Child, type Death, startSupervisor } from './supervisor.ts'
import type { WorkerNumbers } from './worker-ids.ts'

export type WorkersOptions = {
  readonly count: number
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

export type Workers = {
  /**
   * Replaces the workers one after the other with workers for these listeners. No connection is
   * refused. Rejects if a new one cannot listen; then the old listeners stay in effect.
   */
  replace(listeners: FrontendListeners, logSettings: LogSettings): Promise<void>
  /** See Supervisor. */
  stop(millis: number): Promise<void>
  kill(): void
  /**
   * Resolves when every worker listens. Rejects with an OperatorError if one cannot, which is
   * unlikely once the addresses are reserved.
   */
  readonly listening: Promise<void>
}

/**
 * After this many deaths in a row, the log reports no more deaths of a worker until it runs longer.
 */
const QUICK_DEATHS_LOGGED_MAX = 5

/**
 * Half of a worker's young generation. Requests leave only garbage, so a larger one only lengthens
 * pauses.
 */
const YOUNG_MIB = 2
const LOOK_MILLIS = 1000
/**
 * Checks without a report after which a worker is stuck. A starting worker may load from a slow
 * disk.
 */
const SILENT_LOOKS_MAX = 10
const STARTING_LOOKS_MAX = 60

/** Forks the cluster workers and keeps them running. */
export function startWorkers(options: WorkersOptions): Workers {
  const { log } = options
  // Structured clones keep undefined values, which JSON turns into null.
  cluster.setupPrimary({
    serialization: 'advanced',
    exec: fileURLToPath(threadUrl('./worker', import.meta.url)),
    args: [],
    // First, because the last flag wins, so that the operator's flags do.
    execArgv: [`--max-semi-space-size=${YOUNG_MIB}`, ...process.execArgv],
  })
  const listen = new Set<number>()
  let allListen = () => {}
  let cannotListen = (_: Error) => {}
  const listening = new Promise<void>((resolve, reject) => {
    allListen = resolve
    cannotListen = reject
  })
  // Later failures to listen are left to the supervisor.
  listening.catch(() => {})
  /** Start message of a worker. */
  let current = { listeners: options.listeners, logSettings: options.logSettings }
  const supervisor = startSupervisor({
    count: options.count,
    now: () => performance.now(),
    setTimer: (run, millis) => {
      const timer = setTimeout(run, millis)
      return { cancel: () => clearTimeout(timer) }
    },
    start: (n, exited, ready) =>
      forkWorker(n, { ...options, ...current }, exited, message => {
        if (message.type === 'listening') ready()
        if (message.type === 'failed') {
          log.error({ process: workerName(n + 1), reason: message.reason }, 'worker cannot listen')
          cannotListen(unavailableError(message.reason))
        }
        if (message.type === 'listening' && listen.add(n).size === options.count) allListen()
      }),
    leaveMillis: () => current.listeners.websocket.drainTime * 1000,
    died: death => {
      options.processes.died()
      logDeath(log, death)
    },
  })

  async function replace(next: typeof current): Promise<void> {
    const before = current
    current = next
    for (let n = 0; n < options.count; n++) {
      try {
        await supervisor.replace(n)
      } catch (error) {
        current = before
        // Restores the replaced workers. A worker that fails now is restarted later.
        for (let done = 0; done < n; done++) await supervisor.replace(done).catch(() => {})
        throw new Error(`worker ${n + 1} could not be replaced: ${(error as Error).message}`)
      }
    }
  }

  return {
    listening,
    replace: (listeners, logSettings) => replace({ listeners, logSettings }),
    stop: supervisor.stop,
    kill: supervisor.kill,
  }
}

function workerName(number: number): string {
  return `worker-${number}`
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

function forkWorker(
  n: number,
  { admin, folder, logSettings, listeners, log, numbers, processes, socketPathFor }: WorkersOptions,
  exited: (why: string) => void,
  told: (message: FromWorker) => void,
): Child {
  const number = n + 1
  const worker = cluster.fork({ [WORKER_VARIABLE]: String(number) })
  const { pid } = worker.process
  const about = { process: workerName(number), ...(pid !== undefined && { pid }) }
  const processNumber = numbers.next()
  if (pid !== undefined) processes.started(number, pid)
  let isUp = false
  const send = (message: ToWorker) => {
    if (worker.isConnected()) worker.send(message, undefined, () => {})
  }
  const kill = () => {
    worker.process.kill('SIGKILL')
  }
  let heard = 0
  let silence = watchProgress(() => heard, STARTING_LOOKS_MAX)
  const looking = setInterval(() => {
    if (!silence.stalled()) return
    log.error(about, 'worker makes no progress; killing it')
    kill()
  }, LOOK_MILLIS)
  let tellHandedOver = () => {}
  const handedOver = new Promise<void>(resolve => {
    tellHandedOver = resolve
  })
  const ended = (why: string) => {
    clearInterval(looking)
    tellHandedOver()
    numbers.gone(processNumber)
    exited(why)
  }
  worker.on('message', (message: FromWorker) => {
    heard++
    if (message.type === 'up') {
      isUp = true
      send({
        type: 'start',
        number,
        process: processNumber,
        folder,
        socketPath: socketPathFor(n),
        log: logSettings,
        listeners,
      })
    }
    if (message.type === 'listening') {
      silence = watchProgress(() => heard, SILENT_LOOKS_MAX)
      log.info(about, 'worker started')
    }
    if (message.type === 'handed-over') tellHandedOver()
    if (message.type === 'report' && pid !== undefined) processes.reported(pid, message.report)
    if (message.type === 'rpc-call') {
      void answerRemote(admin, message, send, err => {
        log.error({ ...about, err, method: message.method }, 'API request failed')
      })
    }
    told(message)
  })
  worker.once('exit', (code, signal) => ended(signal ?? `exit status ${code}`))
  // The last reports of a worker arrive before `disconnect`.
  worker.once('disconnect', () => {
    if (pid !== undefined) processes.gone(pid)
  })
  // Without a free process or file descriptor there is no child, and no `exit` event.
  worker.on('error', error => {
    if (pid === undefined) ended(error.message)
  })
  return {
    pid,
    handOver() {
      send({ type: 'hand-over' })
      return handedOver
    },
    // A starting worker cannot receive the message, and does not have connections yet.
    stop: () => (isUp ? send({ type: 'stop' }) : kill()),
    kill,
  }
}
