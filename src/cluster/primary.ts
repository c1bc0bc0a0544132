import { availableParallelism } from 'node:os'
import { MessageChannel } from 'node:worker_threads'
import type { Admin } from '../admin/admin.ts'
import { createClockOffset, unixSeconds } from '../clock.ts'
import type { Config } from '../config/config.ts'
import {
  createTables,
  type Engine,
  type EngineSettings,
  type EngineTables,
  openEngine,
} from '../engine/engine.ts'
import { limitCounts } from '../engine/limits.ts'
import { keyCount } from '../engine/tables/hash-table.ts'
import { sumFamilies, totals } from '../engine/totals.ts'
import { ExitStatus, unavailableError } from '../errors.ts'
import { createFrontendCounters } from '../frontends/counters.ts'
import { sumUdpCounters, type UdpCounters } from '../frontends/udp/counters.ts'
import { createLinkCounters, type LinkCounters } from '../link/counters.ts'
import { connectPortLink } from '../link/port.ts'
import { createLog, type Logger } from '../log.ts'
import { createMetrics } from '../metrics/metrics.ts'
import { musterVersion } from '../version.ts'
import { findApiKey } from './api-key.ts'
import { type Certificates, openCertificates } from './certificates.ts'
import { type EngineThreads, startEngineThreads } from './engine-threads.ts'
import { type FrontendListeners, startFrontends } from './frontends.ts'
import { type Keeping, startKeeping } from './keeping.ts'
import { limitSettings } from './limit-settings.ts'
import { apiListeners, claimListeners, claimUdp, httpListeners, udpListeners } from './listeners.ts'
import { createParts, type Parts } from './parts.ts'
import { createPrivateFolder, removePrivateFolder } from './private-folder.ts'
import { createProcessNumbers } from './process-numbers.ts'
import { startReporting } from './process-report.ts'
import { createProcesses, type Processes } from './processes.ts'
import { obeySignals } from './signals.ts'
import { type Snapshots, startSnapshots } from './snapshots.ts'
import { connectServiceManager, type ServiceManager, takeNotifySettings } from './systemd.ts'
import { startUdpThreads } from './udp-threads.ts'
import { startWatchdog, type Watchdog } from './watchdog.ts'
import { createWorkerNumbers } from './worker-numbers.ts'
import { startWorkers } from './workers.ts'

const WORKERS_STOP_MILLIS_MAX = 8000

/**
 * Starts everything, and stops it on SIGTERM or SIGINT, even before all of it has started. Throws an OperatorError when the operator has
 * something to mend, after taking down what was started.
 */
export async function runPrimary(config: Config, warnings: readonly string[]): Promise<void> {
  process.title = 'muster'
  const log = createLog(config.log.level, 'cluster')
  const manager = connectServiceManager(takeNotifySettings(process.env), log)
  for (const warning of warnings) log.warn({ warning }, 'configuration')
  const { database, database_structure: structure, tracker_config: tracker } = config
  const keepsTorrents = database.persistent && structure.torrents.persistent
  const settings: EngineSettings = {
    limits: limitSettings(config.limits),
    interval: tracker.request_interval,
    intervalJitterPercent: tracker.request_interval_jitter,
    peersTimeout: tracker.peers_timeout,
    persistent: keepsTorrents && database.update_completed,
    notePeers: keepsTorrents && database.update_peers,
  }
  const tables = createTables(config.engine.memory, {
    whitelist: tracker.whitelist_enabled,
    blacklist: tracker.blacklist_enabled,
    keys: tracker.keys_enabled,
    users: tracker.users_enabled,
  })
  const parts = createParts()
  const engine = openEngine(tables, settings)
  const udpCounters: UdpCounters[] = []
  const processes = createProcesses(() => performance.now())
  obeySignals(log, parts, () => summary(engine, udpCounters))
  try {
    await start({ config, tables, settings, engine, parts, log, udpCounters, processes, manager })
  } catch (error) {
    // What fails because it is being stopped is no news.
    if (parts.stopping) return
    parts.kill()
    await parts.stop()
    throw error
  }
}

type Run = {
  readonly config: Config
  readonly tables: EngineTables
  readonly settings: EngineSettings
  /** The main thread's own view of the tables. */
  readonly engine: Engine
  readonly parts: Parts
  readonly log: Logger
  readonly udpCounters: UdpCounters[]
  readonly processes: Processes
  readonly manager: ServiceManager
}

async function start(run: Run): Promise<void> {
  const { config, engine, log, manager, parts, processes, settings, tables, udpCounters } = run
  const folder = createPrivateFolder(process.env)
  process.once('exit', () => removePrivateFolder(folder))
  const certificates = openCertificates(config, log)
  parts.add(certificates)
  const claimed = await claimTcpListeners(config, certificates, log)
  const udp = await claimListeners(udpListeners(config), log, claimUdp)
  if (parts.stopping) return

  const clockOffset = createClockOffset()
  const nowSeconds = () => unixSeconds(clockOffset)
  const died = (thread: string, error: unknown) => {
    log.fatal({ thread, err: error }, 'thread died, and the process with it')
    parts.kill()
    process.exit(ExitStatus.software)
  }
  let watchdog: Watchdog | undefined
  let keeping: Keeping | undefined
  let snapshots: Snapshots | undefined
  let engineThreads: EngineThreads | undefined
  const udpPorts = new Set(udp.map(({ port }) => port))
  const metrics = createMetrics({
    prometheusId: config.tracker_config.prometheus_id,
    version: musterVersion(),
    startedSeconds: nowSeconds(),
    nowSeconds,
    rules: engine.access.rules,
    totals: () => totals(engine),
    udp: () => udpCounters,
    udpPorts: () => udpPorts,
    engines: () => engineThreads?.counters ?? [],
    processes,
    now: () => performance.now(),
    limited: () => limitCounts(engine.limits),
    entries: () => ({
      whitelist: keyCount(engine.access.whitelist),
      blacklist: keyCount(engine.access.blacklist),
      keys: keyCount(engine.access.keys),
      users: keyCount(engine.access.userKeys),
    }),
    usersWaiting: () => keeping?.administration.users.waiting ?? 0,
    keysCleanedSeconds: () => keeping?.keysCleanedSeconds ?? 0,
    database: () => keeping?.writeBehind,
    snapshots: () => snapshots,
  })
  keeping = await startKeeping({
    config,
    engine,
    nowSeconds,
    log,
    stats: metrics.stats,
    metrics: metrics.text,
    isReady: () => watchdog !== undefined && !watchdog.stalled,
    processes: createProcessNumbers(processes),
  })
  parts.add(keeping)
  const { admin } = keeping.administration
  if (parts.stopping) return
  if (config.snapshot.enabled) {
    snapshots = startSnapshots({
      config: config.snapshot,
      tables,
      settings,
      nowSeconds,
      log,
      died,
    })
    parts.add(snapshots)
  }

  engineThreads = startEngineThreads(
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
  processes.started(0, process.pid)
  await startTcp({ ...run, claimed, folder, admin, engineThreads, workers })
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
  for (const server of ['http', 'api'] as const) {
    for (const { host, port, tls } of claimed[server]) {
      log.info({ server, address: host, port, tls: tls !== undefined }, 'listening')
    }
  }
  watchdog = startWatchdog({
    manager,
    threads: [...engineThreads.watched, ...udpThreads.watched],
    status: () => statusLine(engine),
    log,
  })
  parts.add(watchdog)
  log.info({ pid: process.pid, workers, engine_threads: config.engine.threads }, 'ready')
}

/** Makes sure of the addresses of both kinds together: they must not have the same one. */
async function claimTcpListeners(
  config: Config,
  certificates: Certificates,
  log: Logger,
): Promise<FrontendListeners> {
  const api = config.api_server.some(({ enabled }) => enabled)
  const token = api ? findApiKey(config.tracker_config, log) : ''
  const claimed = await claimListeners(
    [
      ...httpListeners(config, certificates).map(options => ({
        ...options,
        http: options,
        api: undefined,
      })),
      ...apiListeners(config, token, certificates).map(options => ({
        ...options,
        http: undefined,
        api: options,
      })),
    ],
    log,
  )
  return {
    http: claimed.flatMap(({ http, port }) => (http ? [{ ...http, port }] : [])),
    api: claimed.flatMap(({ api: options, port }) => (options ? [{ ...options, port }] : [])),
  }
}

type TcpStart = Run & {
  readonly claimed: FrontendListeners
  readonly folder: string
  readonly admin: Admin
  readonly engineThreads: EngineThreads
  readonly workers: number
}

/** Starts the HTTP tracker and the API, in cluster workers or in this process. */
async function startTcp(run: TcpStart) {
  const { admin, claimed, config, engineThreads, folder, log, parts, processes, workers } = run
  const frontends = createFrontendCounters()
  const report = (link: LinkCounters) => {
    const reporting = startReporting({ frontends, link }, report =>
      processes.reported(process.pid, report),
    )
    parts.add({ stop: async () => reporting.stop() })
  }
  if (workers === 0) {
    const { port1, port2 } = new MessageChannel()
    engineThreads.link(port2)
    const link = connectPortLink(port1)
    report(link.counters)
    parts.add(
      await startFrontends({
        listeners: claimed,
        websocket: { worker: 0, relayPath: undefined },
        link,
        admin,
        counters: frontends,
        log,
      }).catch((error: Error) => {
        throw unavailableError(error.message)
      }),
    )
    return
  }
  report(createLinkCounters())
  const { socketPathFor, takeOutGone } = engineThreads
  const level = config.log.level
  const running = startWorkers({
    count: workers,
    listeners: claimed,
    admin,
    processes,
    socketPathFor,
    folder,
    numbers: createWorkerNumbers(run.engine.goneWorkers, takeOutGone),
    level,
    log,
  })
  parts.add({ stop: () => running.stop(WORKERS_STOP_MILLIS_MAX), kill: running.kill })
  await running.listening
}

/** Cluster workers that a configuration means; 0 serves from this process. */
function workerCount({ engine, frontend }: Config): number {
  if (frontend.workers !== 'auto') return frontend.workers
  return Math.max(1, availableParallelism() - engine.threads)
}

/** What `systemctl status` shows. */
function statusLine(engine: Engine): string {
  const { torrents, peers } = totals(engine)
  return `${torrents} torrents, ${peers[0]} peers over IPv4, ${peers[1]} over IPv6, ${peers[2]} over WebSocket`
}

/** What the last line of the log says. */
function summary(engine: Engine, udpCounters: readonly UdpCounters[]): object {
  const { torrents, peers, seeders, completed, expired, evicted } = totals(engine)
  const allSeeders = sumFamilies(seeders)
  return {
    uptime_s: Math.round(process.uptime()),
    torrents,
    peers_ipv4: peers[0],
    peers_ipv6: peers[1],
    peers_websocket: peers[2],
    seeders: allSeeders,
    leechers: sumFamilies(peers) - allSeeders,
    completed,
    expired,
    evicted,
    udp: sumUdpCounters(udpCounters),
  }
}
