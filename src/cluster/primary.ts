import { mkdtempSync, rmSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { MessageChannel } from 'node:worker_threads'
import { createClockOffset } from '../clock.ts'
import type { Config } from '../config/config.ts'
import { createTables, type EngineSettings, openEngine } from '../engine/engine.ts'
import { totals } from '../engine/totals.ts'
import { ExitStatus } from '../errors.ts'
import { connectPortLink } from '../link/port.ts'
import { createLog, type Logger } from '../log.ts'
import { type EngineThreads, startEngineThreads } from './engine-threads.ts'
import { startFrontends } from './frontends.ts'
import { claimListeners, httpListeners } from './listeners.ts'
import { startWorkers } from './workers.ts'

const WORKERS_STOP_MILLIS_MAX = 8000
const STOP_MILLIS_MAX = 15_000

/** Something started, to be stopped in reverse order. */
type Started = { stop(): Promise<void>; kill?(): void }

/**
 * Starts everything and stops it on SIGTERM or SIGINT. Throws an OperatorError when the operator has something to mend, after taking down
 * what was started.
 */
export async function runPrimary(config: Config, warnings: readonly string[]): Promise<void> {
  const log = createLog(config.log.level)
  const begun = performance.now()
  const started: Started[] = []
  const kill = () => {
    for (const part of started) part.kill?.()
  }
  for (const warning of warnings) log.warn({ warning }, 'configuration')
  process.title = 'muster'

  const settings: EngineSettings = {
    interval: config.tracker_config.request_interval,
    intervalJitterPercent: config.tracker_config.request_interval_jitter,
    peersTimeout: config.tracker_config.peers_timeout,
  }
  const tables = createTables(config.engine.memory)
  const folder = privateFolder(started)
  try {
    const listeners = await claimListeners(httpListeners(config), log)
    const engineThreads = await startEngineThreads(
      {
        tables,
        settings,
        clockOffset: createClockOffset(),
        threads: config.engine.threads,
        sweepSeconds: config.tracker_config.peers_cleanup_interval,
      },
      folder,
      (index, error) => {
        log.fatal(
          { thread: `engine-${index}`, err: error },
          'engine thread died, and the process with it',
        )
        kill()
        process.exit(ExitStatus.software)
      },
    )
    started.push(engineThreads)
    const workers = workerCount(config)
    if (workers === 0) started.push(await startInProcess(listeners, engineThreads))
    else {
      const supervisor = await startWorkers({
        count: workers,
        listeners,
        socketPathFor: engineThreads.socketPathFor,
        log,
      })
      started.push({ stop: () => supervisor.stop(WORKERS_STOP_MILLIS_MAX), kill: supervisor.kill })
    }
    for (const { host, port } of listeners)
      log.info({ server: 'http', address: host, port }, 'listening')
    log.info({ pid: process.pid, workers, engine_threads: config.engine.threads }, 'ready')
  } catch (error) {
    kill()
    await stopAll(started)
    throw error
  }

  const summary = () => {
    const { torrents, peers, seeders, completed, expired, evicted } = totals(
      openEngine(tables, settings),
    )
    return {
      uptime_s: Math.round((performance.now() - begun) / 1000),
      torrents,
      peers_ipv4: peers[0],
      peers_ipv6: peers[1],
      seeders: seeders[0] + seeders[1],
      completed,
      expired,
      evicted,
    }
  }
  stopOnSignals(log, started, kill, summary)
}

/** Cluster workers that a configuration means; 0 serves from this process. */
function workerCount({ engine, frontend }: Config): number {
  if (frontend.workers !== 'auto') return frontend.workers
  return Math.max(1, availableParallelism() - engine.threads)
}

/** A folder that only this user can look into, for the sockets of the links. Its path is short: a socket's is 107 bytes at most. */
function privateFolder(started: Started[]): string {
  const folder = mkdtempSync(join(process.env['RUNTIME_DIRECTORY'] ?? tmpdir(), 'muster-'))
  const remove = () => rmSync(folder, { recursive: true, force: true })
  process.once('exit', remove)
  started.push({ stop: async () => remove() })
  return folder
}

async function startInProcess(
  listeners: Awaited<ReturnType<typeof claimListeners<ReturnType<typeof httpListeners>[number]>>>,
  engineThreads: EngineThreads,
): Promise<Started> {
  const { port1, port2 } = new MessageChannel()
  engineThreads.link(port2)
  return startFrontends(listeners, connectPortLink(port1))
}

async function stopAll(started: readonly Started[]): Promise<void> {
  for (const part of started.toReversed()) await part.stop()
}

function stopOnSignals(
  log: Logger,
  started: readonly Started[],
  kill: () => void,
  summary: () => object,
): void {
  let stopping = false
  const force = (why: string) => {
    log.error({ why }, 'forced to stop')
    kill()
    process.exit(ExitStatus.software)
  }
  const stop = async (signal: string) => {
    if (stopping) return force(`second signal, ${signal}`)
    stopping = true
    log.info({ signal }, 'stopping')
    setTimeout(() => force('stopping took too long'), STOP_MILLIS_MAX).unref()
    const last = summary()
    await stopAll(started)
    log.info(last, 'stopped')
    process.exit(ExitStatus.ok)
  }
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => {
      stop(signal).catch((error: unknown) => force(String(error)))
    })
  }
  process.on('SIGHUP', () =>
    log.warn('reloading is not supported; restart to change the configuration'),
  )
}
