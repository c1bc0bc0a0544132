import type { Administration } from '../admin/operations.ts'
import { createProcessNumbers } from '../admin/process-stats.ts'
import type { CountPublisher } from '../cache/publisher.ts'
import { startCountPublisher } from '../cache/start.ts'
import { createClockOffset, unixSeconds } from '../clock.ts'
import type { Config } from '../config/config.ts'
import type { LoadedConfig } from '../config/load.ts'
import { createProcesses, type Processes } from '../counters/processes.ts'
import { sumUdpCounters, type UdpCounters } from '../counters/udp.ts'
import type { AccessRules } from '../engine/access.ts'
import {
  createTables,
  type Engine,
  type EngineSettings,
  type EngineTables,
  largeMemories,
  openEngine,
} from '../engine/engine.ts'
import { sumFamilies, totals } from '../engine/totals.ts'
import { ExitStatus, unavailableError } from '../errors.ts'
import { type Events, eventLogSize, startEvents } from '../events/events.ts'
import { createParts, type Parts } from '../lifecycle.ts'
import { createLog, type Logger, setErrorSink } from '../log.ts'
import { renderMetrics } from '../metrics/exposition.ts'
import { Samples, snakeCase } from '../metrics/samples.ts'
import { flatStats } from '../metrics/torrust-actix.ts'
import { adviseHugePages } from '../native/huge-pages.ts'
import {
  connectServiceManager,
  type ServiceManager,
  takeNotifySettings,
} from '../native/sd-notify.ts'
import type { Nodes, Rings } from '../nodes/nodes.ts'
import { type Certificates, openCertificates } from '../serving/certificates.ts'
import { claimTcpListeners, startServing } from '../serving/http-servers.ts'
import { pathRules } from '../serving/listeners.ts'
import type { FrontendListeners } from '../serving/local-servers.ts'
import { claimListeners } from '../serving/port-claims.ts'
import { createPrivateFolder, removePrivateFolder } from '../serving/private-folder.ts'
import { errorSink, startTelemetry } from '../telemetry/start.ts'
import { startEngineThreads } from '../threads/engine-threads.ts'
import { claimUdp, udpListeners, warnOfMissingFamily } from '../threads/udp-listeners.ts'
import { startUdpThreads, type UdpThreads } from '../threads/udp-threads.ts'
import { startWatchdog } from '../threads/watchdog.ts'
import { musterVersion } from '../version.ts'
import { lockDataFolders } from './data-lock.ts'
import { nodeNumbers, openNodes, shareLists } from './nodes.ts'
import { type Persistence, startPersistence } from './persistence.ts'
import { type ClaimedUdp, Reload } from './reload.ts'
import { engineRules } from './rules.ts'
import { obeySignals } from './signals.ts'
import { Snapshots } from './snapshots.ts'
import { collectTables } from './table-samples.ts'

/** The context of every step of the start. */
type Run = {
  readonly config: Config
  readonly text: LoadedConfig['text']
  readonly log: Logger
  readonly parts: Parts
  readonly tables: EngineTables
  readonly settings: EngineSettings
  /** The main thread's own view of the tables. */
  readonly engine: Engine
  /** Seconds to add to the monotonic clock (clock.ts). */
  readonly clockOffset: number
  readonly nowSeconds: () => number
  readonly processes: Processes
  /** The other nodes, once they are opened. */
  readonly others: { nodes?: Nodes }
  /** The counters of the UDP threads, once they are started. */
  readonly udpCounters: UdpCounters[]
  readonly manager: ServiceManager
  readonly certificates: Certificates
  readonly reload: Reload
  /** Ends the process: a thread that crashed may have held a lock. */
  readonly died: (thread: string, error: unknown) => void
}

/**
 * Starts everything, and stops it on SIGTERM or SIGINT, even before all of it has started. Throws
 * an OperatorError for what the operator can fix, after stopping what was started.
 */
export async function runPrimary(loaded: LoadedConfig, load: () => LoadedConfig): Promise<void> {
  process.title = 'muster'
  const { config, text } = loaded
  const log = createLog(config.log, 'primary')
  const manager = connectServiceManager(takeNotifySettings(process.env), log)
  for (const warning of loaded.warnings) log.warn({ warning }, 'configuration')
  const { access, settings } = engineRules(config)
  const tables = reserveTables(config, access)
  if (config.engine.huge_pages) adviseHugePages(largeMemories(tables), log)
  const engine = openEngine(tables, settings)
  const parts = createParts()
  const certificates = openCertificates(config, log)
  parts.add(certificates)
  const reload = new Reload({ load, certificates, parts, manager, log })
  const udpCounters: UdpCounters[] = []
  obeySignals(
    log,
    parts,
    () => summary(engine, udpCounters),
    () => void reload.config(),
  )
  const clockOffset = createClockOffset()
  const run = {
    config,
    text,
    log,
    parts,
    tables,
    settings,
    engine,
    clockOffset,
    udpCounters,
    others: {},
    manager,
  }
  try {
    await start({
      ...run,
      nowSeconds: () => unixSeconds(clockOffset),
      processes: createProcesses(() => performance.now()),
      certificates,
      reload,
      died(thread, error) {
        log.fatal({ thread, err: error }, 'thread crashed; exiting')
        parts.kill()
        process.exit(ExitStatus.software)
      },
    })
  } catch (error) {
    // Errors caused by the shutdown itself are not reported.
    if (parts.stopping) return
    parts.kill()
    await parts.stop()
    throw error
  }
}

/** Throws an OperatorError if the process may not allocate that much memory. */
function reserveTables(config: Config, access: AccessRules): EngineTables {
  const { accounting, engine, events, nodes } = config
  const memoryBytes = engine.memory
  const isShared = access.users && nodes.servers.length > 0
  try {
    const waiting = eventLogSize(events)
    return createTables(memoryBytes, access, accounting.sessions, waiting, isShared)
  } catch (error) {
    if (!(error instanceof RangeError)) throw error
    throw unavailableError(
      `engine.memory: cannot reserve ${memoryBytes / 2 ** 20} MiB. Lower it, or raise the limit of the address space (ulimit -v).`,
    )
  }
}

/** The order of the start. Each step uses only what the steps before it created. */
async function start(run: Run): Promise<void> {
  const { certificates, config, log, manager, parts, processes, reload } = run
  parts.add(lockDataFolders(config))
  const folder = createPrivateFolder(process.env)
  process.once('exit', () => removePrivateFolder(folder))
  const claimed = await claimTcpListeners(config, certificates, log)
  const claimedUdp = await claimListeners<ClaimedUdp>(
    udpListeners(config, pathRules(config)).map((listener, n) => ({ ...listener, n })),
    log,
    claimUdp,
  )
  parts.throwIfStopping()
  // Stopped after the database, whose last write credits users.
  const events = await openEvents(run)
  const persistence = await openPersistence(run, events)
  parts.throwIfStopping()
  const snapshots = openSnapshots(run, persistence)
  const opened = openNodes({ ...run, folder })
  if (opened) joinNodes(run, opened.nodes, snapshots)
  const engineThreads = await openEngineThreads(run, folder, opened?.engineRings)
  parts.throwIfStopping()
  processes.started(0, process.pid)
  const { listeners } = claimed
  if (opened) parts.add(shareLists(opened.nodes, persistence.shared, log))
  const { overview } = persistence.administration
  const { admin } = opened ? persistence.shared : persistence.administration
  const serving = await startServing({ ...run, listeners, folder, admin, engineThreads })
  claimed.release()
  parts.throwIfStopping()
  claimedUdp.release()
  const udpThreads = await openUdpThreads(run, claimedUdp.listeners, opened?.udpRings)
  logListeners(listeners, log)
  warnOfMissingFamily(listeners.http, claimedUdp.listeners, log)
  const status = () => statusLine(run.engine, overview.announceRate)
  const threads = [...engineThreads.watched, ...udpThreads.watched]
  if (opened) threads.push(opened.nodes.watched)
  parts.add(startWatchdog({ manager, threads, status, log }))
  const udp = claimedUdp.listeners
  const servers = { claimed, udp, serving, engineThreads, udpThreads, nodes: opened?.nodes }
  reload.begin({ ...run, ...servers, persistence, snapshots, status })
  parts.ready()
  log.info({ workers: serving.workers, engine_threads: config.engine.threads }, 'ready')
}

/** Undefined where the configuration has no receivers of events. */
async function openEvents({ config, engine, log, parts }: Run): Promise<Events | undefined> {
  const events = await startEvents({ config: config.events, eventLog: engine.events, log })
  if (events) parts.add(events)
  return events
}

async function openPersistence(run: Run, events: Events | undefined): Promise<Persistence> {
  const { certificates, config, engine, log, nowSeconds, parts, processes, reload } = run
  const id = config.tracker_config.prometheus_id
  const startedSeconds = nowSeconds()
  const collect = () => {
    const samples = new Samples()
    samples.add('muster_build_info', 1, { version: musterVersion(), node: process.version })
    samples.add('muster_start_time_seconds', startedSeconds)
    parts.collect(samples)
    return samples
  }
  const exporter = startTelemetry(config.telemetry, log)
  if (exporter) {
    parts.add(exporter)
    setErrorSink(errorSink(exporter))
  }
  let publisher: CountPublisher | undefined
  const persistence = await startPersistence({
    config,
    engine,
    nowSeconds,
    log,
    stats: () => flatStats(collect(), engine.access.rules, nowSeconds()),
    metrics: () => renderMetrics(collect(), id),
    isReady: () => parts.isReady,
    processes: createProcessNumbers(processes),
    ...(events && { onCredited: events.credited }),
    nodes: () => nodeNumbers(run.others.nodes, engine),
    certificates: {
      certificates: async () => certificates.list(),
      reloadCertificates: filter => reload.certificates(filter),
    },
    exporter,
    onTorrentsChanged: hashes => publisher?.note(hashes),
  })
  events?.setUsers(number => persistence.administration.users.idOf(number))
  parts.add(persistence)
  publisher = await startCountPublisher(config.cache, {
    engine,
    interval: () => persistence.writeSeconds,
    nowSeconds,
    log,
  })
  if (publisher) parts.add(publisher)
  parts.add({
    stop: async () => {},
    collect: samples => collectTables(samples, engine, persistence.writeBehind !== undefined),
  })
  return persistence
}

/** Returns undefined if the configuration does not enable snapshots. */
function openSnapshots(run: Run, persistence: Persistence): Snapshots | undefined {
  const { config, died, log, nowSeconds, parts, settings, tables } = run
  if (!config.snapshot.enabled) return undefined
  const { snapshot } = config
  const snapshots = new Snapshots({
    config: snapshot,
    tables,
    settings,
    nowSeconds,
    usersAreLoaded: config.database.persistent && config.database_structure.users.persistent,
    log,
    died,
    beforeWrite: async () => persistence.writeBehind?.flush(),
  })
  parts.add(snapshots)
  return snapshots
}

/** Has the nodes fetch what was announced elsewhere since the last snapshot. */
function joinNodes({ others, parts }: Run, nodes: Nodes, snapshots: Snapshots | undefined): void {
  others.nodes = nodes
  parts.add(nodes)
  const restored = snapshots?.restored ?? Promise.resolve(0)
  void restored.then(since => nodes.restored(since))
}

async function openEngineThreads(run: Run, folder: string, rings: Rings = []) {
  const { clockOffset, config, died, parts, settings, tables } = run
  const { threads } = config.engine
  const sweepSeconds = config.tracker_config.peers_cleanup_interval
  const engineThreads = startEngineThreads(
    { tables, settings, clockOffset, threads, sweepSeconds, rings },
    folder,
    (index, error) => died(`engine-${index}`, error),
  )
  parts.add(engineThreads)
  await engineThreads.ready
  return engineThreads
}

async function openUdpThreads(
  run: Run,
  listeners: readonly ClaimedUdp[],
  rings: Rings = [],
): Promise<UdpThreads> {
  const { clockOffset, config, died, log, parts, settings, tables, udpCounters } = run
  const nodesSecret = config.nodes.secret
  const options = { listeners, tables, settings, clockOffset, rings, nodesSecret, log, died }
  const udpThreads = await startUdpThreads(options)
  parts.add(udpThreads)
  udpCounters.push(...udpThreads.counters)
  return udpThreads
}

function logListeners(listeners: FrontendListeners, log: Logger): void {
  for (const server of ['http', 'api'] as const) {
    for (const { host, port, tls } of listeners[server]) {
      log.info({ server, address: host, port, tls: tls !== undefined }, 'listening')
    }
  }
}

/** The text that `systemctl status` shows. */
function statusLine(engine: Engine, announceRate: Administration['overview']['announceRate']) {
  const { torrents, peers } = totals(engine)
  return `${announceRate} announces/s, ${torrents} torrents, ${peers[0]} peers over IPv4, ${peers[1]} over IPv6, ${peers[2]} over WebSocket`
}

/** The fields of the last line of the log. */
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
    udp: Object.fromEntries(
      Object.entries(sumUdpCounters(udpCounters)).map(([name, sums]) => [snakeCase(name), sums]),
    ),
  }
}
