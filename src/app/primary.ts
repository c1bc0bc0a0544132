import { createProcessNumbers } from '../admin/process-stats.ts'
import { createClockOffset, unixSeconds } from '../clock.ts'
import type { Config } from '../config/config.ts'
import type { LoadedConfig } from '../config/load.ts'
import { createProcesses, type Processes } from '../counters/processes.ts'
import { sumUdpCounters, type UdpCounters } from '../counters/udp.ts'
import { entryCount } from '../engine/access-tables.ts'
import {
  createTables,
  type Engine,
  type EngineSettings,
  type EngineTables,
  openEngine,
} from '../engine/engine.ts'
import { limitCounts } from '../engine/policy.ts'
import { sumFamilies, totals } from '../engine/totals.ts'
import { ExitStatus } from '../errors.ts'
import { createParts, type Parts } from '../lifecycle.ts'
import { createLog, type Logger } from '../log.ts'
import { createMetrics } from '../metrics/metrics.ts'
import { adviseHugePages } from '../native/huge-pages.ts'
import {
  connectServiceManager,
  type ServiceManager,
  takeNotifySettings,
} from '../native/sd-notify.ts'
import { openCertificates } from '../serving/certificates.ts'
import { claimTcpListeners, startServing } from '../serving/http-servers.ts'
import { claimListeners, pathRules } from '../serving/listeners.ts'
import { createPrivateFolder, removePrivateFolder } from '../serving/private-folder.ts'
import { type EngineThreads, startEngineThreads } from '../threads/engine-threads.ts'
import { claimUdp, udpListeners, warnOfMissingFamily } from '../threads/udp-listeners.ts'
import { startUdpThreads } from '../threads/udp-threads.ts'
import { startWatchdog, type Watchdog } from '../threads/watchdog.ts'
import { musterVersion } from '../version.ts'
import { type Keeping, startKeeping } from './persistence.ts'
import { createReload, type Reload } from './reload.ts'
import { engineRules } from './rules.ts'
import { obeySignals } from './signals.ts'
import { type Snapshots, startSnapshots } from './snapshots.ts'

/**
 * Starts everything, and stops it on SIGTERM or SIGINT, even before all of it has started. Throws an OperatorError when the operator has
 * something to mend, after taking down what was started.
 */
export async function runPrimary(loaded: LoadedConfig, load: () => LoadedConfig): Promise<void> {
  process.title = 'muster'
  const { config } = loaded
  const log = createLog(config.log, 'primary')
  const manager = connectServiceManager(takeNotifySettings(process.env), log)
  for (const warning of loaded.warnings) log.warn({ warning }, 'configuration')
  const { access, settings } = engineRules(config)
  const tables = createTables(config.engine.memory, access)
  if (config.engine.huge_pages) adviseHugePages(tables.arenas, log)
  const parts = createParts()
  const engine = openEngine(tables, settings)
  const udpCounters: UdpCounters[] = []
  const processes = createProcesses(() => performance.now())
  let reload: Reload | undefined
  obeySignals(
    log,
    parts,
    () => summary(engine, udpCounters),
    () => {
      if (reload) void reload.config()
      else log.warn('ignoring reload: startup has not finished')
    },
  )
  const run = { config, tables, settings, engine, parts, log, udpCounters, processes, manager }
  try {
    reload = await start({ ...run, load })
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
  readonly load: () => LoadedConfig
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

/** Undefined when it was stopped meanwhile. */
async function start(run: Run): Promise<Reload | undefined> {
  const { config, engine, log, manager, parts, processes, settings, tables, udpCounters } = run
  const folder = createPrivateFolder(process.env)
  process.once('exit', () => removePrivateFolder(folder))
  const certificates = openCertificates(config, log)
  parts.add(certificates)
  const claimed = await claimTcpListeners(config, certificates, log)
  const claimedUdp = await claimListeners(
    udpListeners(config, pathRules(config)).map((listener, n) => ({ ...listener, n })),
    log,
    claimUdp,
  )
  if (parts.stopping) return undefined

  const clockOffset = createClockOffset()
  const nowSeconds = () => unixSeconds(clockOffset)
  const died = (thread: string, error: unknown) => {
    log.fatal({ thread, err: error }, 'thread crashed; exiting')
    parts.kill()
    process.exit(ExitStatus.software)
  }
  let watchdog: Watchdog | undefined
  let keeping: Keeping | undefined
  let snapshots: Snapshots | undefined
  let engineThreads: EngineThreads | undefined
  const udp = claimedUdp.listeners
  const udpPorts = new Set(udp.map(({ port }) => port))
  let reload: Reload | undefined
  const metrics = createMetrics({
    prometheusId: config.tracker_config.prometheus_id,
    version: musterVersion(),
    startedSeconds: nowSeconds(),
    nowSeconds,
    get rules() {
      return engine.access.rules
    },
    totals: () => totals(engine),
    udp: () => udpCounters,
    udpPorts: () => udpPorts,
    engines: () => engineThreads?.counters ?? [],
    processes,
    now: () => performance.now(),
    limited: () => limitCounts(engine.limits),
    entries: () => ({
      whitelist: entryCount(engine.access.whitelist),
      blacklist: entryCount(engine.access.blacklist),
      keys: entryCount(engine.access.keys),
      users: entryCount(engine.access.userKeys),
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
    certificates: {
      certificates: async () => certificates.list(),
      reloadCertificates: async filter => (await reload?.certificates(filter)) ?? [],
    },
  })
  parts.add(keeping)
  const { admin, overview } = keeping.administration
  const status = () => statusLine(engine, overview.announceRate)
  if (parts.stopping) return undefined
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
  if (parts.stopping) return undefined

  processes.started(0, process.pid)
  const { listeners } = claimed
  const serving = await startServing({ ...run, listeners, folder, admin, engineThreads })
  claimed.release()
  if (parts.stopping) return undefined
  claimedUdp.release()
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
    for (const { host, port, tls } of listeners[server]) {
      log.info({ server, address: host, port, tls: tls !== undefined }, 'listening')
    }
  }
  warnOfMissingFamily(listeners.http, udp, log)
  watchdog = startWatchdog({
    manager,
    threads: [...engineThreads.watched, ...udpThreads.watched],
    status,
    log,
  })
  parts.add(watchdog)
  const { workers } = serving
  log.info({ workers, engine_threads: config.engine.threads }, 'ready')
  const started = { ...run, claimed, udp, certificates, serving, engineThreads, udpThreads }
  reload = createReload({
    ...started,
    keeping,
    snapshots,
    isStopping: () => parts.stopping,
    began: manager.reloading,
    ended: () => manager.ready(status()),
  })
  return reload
}

/** What `systemctl status` shows. */
function statusLine(engine: Engine, announceRate: number): string {
  const { torrents, peers } = totals(engine)
  return `${announceRate} announces/s, ${torrents} torrents, ${peers[0]} peers over IPv4, ${peers[1]} over IPv6, ${peers[2]} over WebSocket`
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
