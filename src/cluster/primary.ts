import { availableParallelism } from 'node:os'
import { MessageChannel } from 'node:worker_threads'
import { createClockOffset } from '../clock.ts'
import type { Config } from '../config/config.ts'
import type { EngineTables } from '../engine/engine.ts'
import { createTables, type EngineSettings, openEngine } from '../engine/engine.ts'
import { totals } from '../engine/totals.ts'
import { ExitStatus, unavailableError } from '../errors.ts'
import { sumUdpCounters, type UdpCounters } from '../frontends/udp/counters.ts'
import { connectPortLink } from '../link/port.ts'
import { createLog, type Logger } from '../log.ts'
import { startEngineThreads } from './engine-threads.ts'
import { startFrontends } from './frontends.ts'
import { claimListeners, claimUdp, httpListeners, udpListeners } from './listeners.ts'
import { createParts, type Parts } from './parts.ts'
import { createPrivateFolder, removePrivateFolder } from './private-folder.ts'
import { obeySignals } from './signals.ts'
import { startUdpThreads } from './udp-threads.ts'
import { startWorkers } from './workers.ts'

const WORKERS_STOP_MILLIS_MAX = 8000

/**
 * Starts everything, and stops it on SIGTERM or SIGINT, even before all of it has started. Throws an OperatorError when the operator has
 * something to mend, after taking down what was started.
 */
export async function runPrimary(config: Config, warnings: readonly string[]): Promise<void> {
  process.title = 'muster'
  const log = createLog(config.log.level, 'cluster')
  for (const warning of warnings) log.warn({ warning }, 'configuration')
  const settings: EngineSettings = {
    interval: config.tracker_config.request_interval,
    intervalJitterPercent: config.tracker_config.request_interval_jitter,
    peersTimeout: config.tracker_config.peers_timeout,
    persistent: false,
    notePeers: false,
  }
  const tracker = config.tracker_config
  const tables = createTables(config.engine.memory, {
    whitelist: tracker.whitelist_enabled,
    blacklist: tracker.blacklist_enabled,
    keys: tracker.keys_enabled,
    users: tracker.users_enabled,
  })
  const parts = createParts()
  const udpCounters: UdpCounters[] = []
  obeySignals(log, parts, () => summary(tables, settings, udpCounters))
  try {
    await start(config, tables, settings, parts, log, udpCounters)
  } catch (error) {
    // What fails because it is being stopped is no news.
    if (parts.stopping) return
    parts.kill()
    await parts.stop()
    throw error
  }
}

async function start(
  config: Config,
  tables: EngineTables,
  settings: EngineSettings,
  parts: Parts,
  log: Logger,
  udpCounters: UdpCounters[],
): Promise<void> {
  const folder = createPrivateFolder(process.env)
  process.once('exit', () => removePrivateFolder(folder))
  const listeners = await claimListeners(httpListeners(config), log)
  const udp = await claimListeners(udpListeners(config), log, claimUdp)
  if (parts.stopping) return

  const clockOffset = createClockOffset()
  const died = (thread: string, error: unknown) => {
    log.fatal({ thread, err: error }, 'thread died, and the process with it')
    parts.kill()
    process.exit(ExitStatus.software)
  }
  const engineThreads = startEngineThreads(
    {
      tables,
      settings,
      clockOffset,
      threads: config.engine.threads,
      sweepSeconds: config.tracker_config.peers_cleanup_interval,
    },
    folder,
    (index, error) => died(`engine-${index}`, error),
  )
  parts.add(engineThreads)
  await engineThreads.ready
  if (parts.stopping) return

  const workers = workerCount(config)
  if (workers === 0) {
    const { port1, port2 } = new MessageChannel()
    engineThreads.link(port2)
    parts.add(
      await startFrontends(listeners, connectPortLink(port1)).catch((error: Error) => {
        throw unavailableError(error.message)
      }),
    )
  } else {
    const { socketPathFor } = engineThreads
    const level = config.log.level
    const running = startWorkers({ count: workers, listeners, socketPathFor, level, log })
    parts.add({ stop: () => running.stop(WORKERS_STOP_MILLIS_MAX), kill: running.kill })
    await running.listening
  }
  if (parts.stopping) return
  const udpThreads = await startUdpThreads({
    listeners: udp,
    tables,
    settings,
    clockOffset,
    log,
    died,
  })
  parts.add(udpThreads)
  udpCounters.push(...udpThreads.counters)
  for (const { host, port } of listeners)
    log.info({ server: 'http', address: host, port }, 'listening')
  log.info({ pid: process.pid, workers, engine_threads: config.engine.threads }, 'ready')
}

/** Cluster workers that a configuration means; 0 serves from this process. */
function workerCount({ engine, frontend }: Config): number {
  if (frontend.workers !== 'auto') return frontend.workers
  return Math.max(1, availableParallelism() - engine.threads)
}

/** What the last line of the log says. */
function summary(
  tables: EngineTables,
  settings: EngineSettings,
  udpCounters: readonly UdpCounters[],
): object {
  const { torrents, peers, seeders, completed, expired, evicted } = totals(
    openEngine(tables, settings),
  )
  const allSeeders = seeders[0] + seeders[1]
  return {
    uptime_s: Math.round(process.uptime()),
    torrents,
    peers_ipv4: peers[0],
    peers_ipv6: peers[1],
    seeders: allSeeders,
    leechers: peers[0] + peers[1] - allSeeders,
    completed,
    expired,
    evicted,
    udp: sumUdpCounters(udpCounters),
  }
}
