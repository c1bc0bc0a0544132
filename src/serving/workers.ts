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
  /** Told of each worker's start and end, and what it reports. */
  readonly processes: Processes
  readonly socketPathFor: (n: number) => string
  /** Where workers have their sockets for each other. */
  readonly folder: string
  readonly numbers: WorkerNumbers
  readonly logSettings: LogSettings
  readonly log: Logger
}

export type Workers = {
  /**
   * Replaces the workers, one after the other, by such that are started with these. No connection is refused. Rejects when one of the new
   * ones cannot listen; then all are again, or still, as they were.
   */
  replace(listeners: FrontendListeners, logSettings: LogSettings): Promise<void>
  /** As the supervisor's. */
  stop(millis: number): Promise<void>
  kill(): void
  /**
   * Resolves when each of them listens. Rejects with an OperatorError when one cannot, which after the addresses were claimed nobody
   * expects.
   */
  readonly listening: Promise<void>
}

/** From so many deaths in a row on, the log says it once more and is then silent about the worker until it lived for a while. */
const QUICK_DEATHS_LOGGED_MAX = 5

/** Half of a worker's young generation. What a request leaves behind is dead at once: more room than this makes pauses longer and nothing cheaper. */
const YOUNG_MIB = 2
const LOOK_MILLIS = 1000
/** A worker that serves and says nothing for so many looks is stuck; one that starts may load its code from a slow disk. */
const SILENT_LOOKS_MAX = 10
const STARTING_LOOKS_MAX = 60

/** Forks the cluster workers and keeps them running. */
export function startWorkers(options: WorkersOptions): Workers {
  const { log } = options
  // Structured clones: JSON would make null of what is undefined in an answer.
  cluster.setupPrimary({
    serialization: 'advanced',
    exec: fileURLToPath(threadUrl('./worker', import.meta.url)),
    args: [],
    // First, so that an operator's own flag wins: the last one counts.
    execArgv: [`--max-semi-space-size=${YOUNG_MIB}`, ...process.execArgv],
  })
  const listen = new Set<number>()
  let allListen = () => {}
  let cannotListen = (_: Error) => {}
  const listening = new Promise<void>((resolve, reject) => {
    allListen = resolve
    cannotListen = reject
  })
  // Once all of them listened, or nobody waits any more, one that cannot is the supervisor's business.
  listening.catch(() => {})
  /** What a worker is started with, whenever that is. */
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
        // Those that were replaced. Whoever fails now dies later too, and starts again as before.
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
  // Only now is all read that it reported.
  worker.once('disconnect', () => {
    if (pid !== undefined) processes.gone(pid)
  })
  // Where the system has no process or file descriptor left there is no child, and no `exit`.
  worker.on('error', error => {
    if (pid === undefined) ended(error.message)
  })
  return {
    pid,
    handOver() {
      send({ type: 'hand-over' })
      return handedOver
    },
    // One that is not up would not hear it, and has no connections yet.
    stop: () => (isUp ? send({ type: 'stop' }) : kill()),
    kill,
  }
}
