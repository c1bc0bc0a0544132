import cluster from 'node:cluster'
import { fileURLToPath } from 'node:url'
import type { HttpServerOptions } from '../frontends/http/server.ts'
import type { Logger } from '../log.ts'
import { threadUrl } from '../thread-url.ts'
import type { FromWorker, ToWorker } from './messages.ts'
import { type Child, type Supervisor, startSupervisor } from './supervisor.ts'

export type WorkersOptions = {
  readonly count: number
  readonly listeners: readonly HttpServerOptions[]
  readonly socketPathFor: (n: number) => string
  readonly log: Logger
}

/**
 * Forks the cluster workers and keeps them running. Resolves when all of them listen; rejects when one cannot, which after the addresses were
 * claimed nobody expects.
 */
export async function startWorkers(options: WorkersOptions): Promise<Supervisor> {
  const { log } = options
  cluster.setupPrimary({ exec: fileURLToPath(threadUrl('./worker', import.meta.url)), args: [] })
  let listening = 0
  let supervisor: Supervisor | undefined
  await new Promise<void>((resolve, reject) => {
    supervisor = startSupervisor({
      count: options.count,
      now: () => performance.now(),
      setTimer: (run, millis) => {
        const timer = setTimeout(run, millis)
        return { cancel: () => clearTimeout(timer) }
      },
      start: (n, exited) =>
        forkWorker(n, options, exited, message => {
          if (message.type === 'failed') {
            log.error({ worker: n + 1, reason: message.reason }, 'worker cannot listen')
            reject(new Error(message.reason))
          }
          if (message.type === 'listening' && ++listening === options.count) resolve()
        }),
      died: (n, pid, why, restartMillis) => {
        log.warn({ worker: n + 1, pid, why, restart_ms: restartMillis }, 'worker died')
      },
    })
  }).catch(error => {
    supervisor?.kill()
    throw error
  })
  if (!supervisor) throw new Error('no supervisor')
  return supervisor
}

function forkWorker(
  n: number,
  { listeners, log, socketPathFor }: WorkersOptions,
  exited: (why: string) => void,
  told: (message: FromWorker) => void,
): Child {
  const worker = cluster.fork()
  const pid = worker.process.pid ?? 0
  const send = (message: ToWorker) => {
    if (worker.isConnected()) worker.send(message, undefined, () => {})
  }
  worker.on('message', (message: FromWorker) => {
    if (message.type === 'up') {
      send({ type: 'start', socketPath: socketPathFor(n), logLevel: log.level, listeners })
    }
    if (message.type === 'listening') log.info({ worker: n + 1, pid }, 'worker started')
    told(message)
  })
  worker.once('exit', (code, signal) => exited(signal ?? `exit status ${code}`))
  return {
    pid,
    stop: () => send({ type: 'stop' }),
    kill: () => worker.process.kill('SIGKILL'),
  }
}
