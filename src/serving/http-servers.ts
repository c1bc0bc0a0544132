import { availableParallelism } from 'node:os'
import { MessageChannel, type MessagePort } from 'node:worker_threads'
import type { Admin } from '../admin/admin.ts'
import type { Config } from '../config/config.ts'
import { createFrontendCounters, type FrontendCounters } from '../counters/frontend.ts'
import { createLinkCounters, type LinkCounters } from '../counters/link.ts'
import { startReporting } from '../counters/process-report.ts'
import type { Processes } from '../counters/processes.ts'
import type { Engine } from '../engine/engine.ts'
import { unavailableError } from '../errors.ts'
import { relayPathIn } from '../frontends/websocket/worker-relay.ts'
import type { Part, Parts } from '../lifecycle.ts'
import { connectPortLink } from '../link/port.ts'
import type { Logger, LogSettings } from '../log.ts'
import type { Samples } from '../metrics/samples.ts'
import { findApiKey } from './api-key.ts'
import type { Certificates } from './certificates.ts'
import { chooseHttpBackend, warnOfUnlimited } from './http-backend.ts'
import { apiListeners, httpListeners } from './listeners.ts'
import { type FrontendListeners, LocalServers } from './local-servers.ts'
import { claimListeners, claimTcp, noAddressError } from './port-claims.ts'
import { collectServers } from './server-samples.ts'
import { websocketLimits } from './websocket-limits.ts'
import { createWorkerNumbers } from './worker-ids.ts'
import { Workers } from './workers.ts'

const WORKERS_STOP_MILLIS_MAX = 8000

/** Listeners with reserved addresses, and the ports that the kernel chose for port 0. */
export type ClaimedTcp = {
  readonly listeners: FrontendListeners
  /** Ports by `address port`. For port 0, the key contains the kind of server and a counter. */
  readonly ports: ReadonlyMap<string, number>
  /** Releases the reservations. Called when the listeners listen, or will not listen. */
  release(): void
}

/**
 * Reserves the addresses of the HTTP and API servers together, so that they cannot collide.
 * Addresses in `held` are already reserved. Throws an OperatorError.
 */
export async function claimTcpListeners(
  config: Config,
  certificates: Pick<Certificates, 'pairOf'>,
  log: Logger,
  held: ClaimedTcp['ports'] = new Map(),
): Promise<ClaimedTcp> {
  const api = config.api_server.some(({ enabled }) => enabled)
  const token = api ? findApiKey(config.tracker_config, log) : ''
  const isStart = held.size === 0
  const isServing = api || config.http_server.some(({ enabled }) => enabled)
  const backend = chooseHttpBackend(config.frontend.http, isStart && isServing ? log : undefined)
  const free = { http: 0, api: 0 }
  const nameOf = (kind: 'http' | 'api', { host, port }: { host: string; port: number }) =>
    `${host} ${port === 0 ? `${kind} ${free[kind]++}` : port}`
  const wanted = [
    ...httpListeners(config, certificates, backend).map(http => ({
      ...http,
      name: nameOf('http', http),
      http,
      api: undefined,
    })),
    ...apiListeners(config, token, certificates, backend).map(api => ({
      ...api,
      name: nameOf('api', api),
      http: undefined,
      api,
    })),
  ]
  const { listeners: claimed, release } = await claimListeners(
    wanted,
    log,
    async (listener, all) => {
      const port = held.get(listener.name)
      return port === undefined ? claimTcp(listener, all) : { port, release() {} }
    },
  )
  for (const kind of ['http', 'api'] as const) {
    const addresses = wanted.filter(listener => listener[kind])
    if (addresses.length === 0 || claimed.some(listener => listener[kind])) continue
    release()
    throw noAddressError(addresses)
  }
  const listeners: FrontendListeners = {
    http: claimed.flatMap(({ http, port }) => (http ? [{ ...http, port }] : [])),
    api: claimed.flatMap(({ api: options, port }) => (options ? [{ ...options, port }] : [])),
    connectionsPerAddress: config.limits.connections_per_address,
    websocket: websocketLimits(config.websocket),
  }
  warnOfUnlimited(listeners, log)
  return {
    listeners,
    ports: new Map(claimed.map(({ name, port }) => [name, port])),
    release,
  }
}

/** The HTTP tracker and the API, in cluster workers or in this process. */
export type Serving = Part & {
  readonly workers: number
  /**
   * Switches to `listeners` without refusing a connection. Rejects on failure, and changes nothing.
   */
  replace(listeners: FrontendListeners, logSettings: LogSettings): Promise<void>
}

export type ServingOptions = {
  readonly config: Config
  readonly listeners: FrontendListeners
  /** Folder of the sockets between workers. */
  readonly folder: string
  readonly engine: Engine
  readonly admin: Admin
  readonly engineThreads: EngineLinks
  readonly processes: Processes
  /** Receives the components as they start. */
  readonly parts: Parts
  readonly log: Logger
}

/** The ways to reach the engine threads. */
export type EngineLinks = {
  /** Gives the first engine thread a link of this process. */
  link(port: MessagePort): void
  /** Unix socket for the links of worker `n`. */
  socketPathFor(n: number): string
  /** Removes the WebSocket peers of workers that were marked as dead. */
  removePeersOfDeadWorkers(): void
}

/** Starts the servers. Rejects with an OperatorError. */
export function startServing(options: ServingOptions): Promise<Serving> {
  const workers = workerCount(options.config)
  return workers === 0 ? serveHere(options) : serveInWorkers(options, workers)
}

/** Starts the servers in this process. */
async function serveHere(options: ServingOptions): Promise<Serving> {
  const { admin, config, engineThreads, folder, listeners, log, parts } = options
  const { port1, port2 } = new MessageChannel()
  engineThreads.link(port2)
  const link = connectPortLink(port1)
  const frontends = createFrontendCounters()
  let servers: LocalServers | undefined
  report(options, { frontends, link: link.counters }, () => servers?.connections)
  const running = await LocalServers.start({
    listeners,
    websocket: {
      worker: 0,
      relayPath: config.nodes.servers.length > 0 ? relayPathIn(folder) : undefined,
    },
    link,
    admin,
    counters: frontends,
    log,
  }).catch((error: Error) => {
    throw unavailableError(error.message)
  })
  servers = running
  const serving: Serving = {
    workers: 0,
    replace: listeners => running.replace(listeners),
    stop: () => running.stop(),
    collect: collectOf(options),
  }
  parts.add(serving)
  return serving
}

/** Starts the servers in `count` cluster workers. */
async function serveInWorkers(options: ServingOptions, count: number): Promise<Serving> {
  const { admin, config, engineThreads, listeners, log, parts, processes } = options
  report(options, { frontends: createFrontendCounters(), link: createLinkCounters() })
  const running = new Workers({
    count,
    listeners,
    admin,
    processes,
    socketPathFor: engineThreads.socketPathFor,
    folder: options.folder,
    numbers: createWorkerNumbers(
      options.engine.deadWorkers,
      engineThreads.removePeersOfDeadWorkers,
    ),
    logSettings: config.log,
    log,
  })
  const serving: Serving = {
    workers: count,
    replace: (next, logSettings) => running.replace(next, logSettings),
    stop: () => running.stop(WORKERS_STOP_MILLIS_MAX),
    kill: () => running.kill(),
    collect: collectOf(options),
  }
  parts.add(serving)
  await running.listening
  return serving
}

/** Reports the counters of this process, until it stops. */
function report(
  { parts, processes }: ServingOptions,
  counters: { readonly frontends: FrontendCounters; readonly link: LinkCounters },
  connections: () => number | undefined = () => undefined,
): void {
  const reporting = startReporting(
    counters,
    report => processes.reported(process.pid, report),
    connections,
  )
  parts.add({ stop: async () => reporting.stop() })
}

function collectOf({ processes }: ServingOptions): (samples: Samples) => void {
  return samples => collectServers(samples, processes, performance.now())
}

/** Number of cluster workers of a configuration. 0 serves from this process. */
function workerCount({ engine, frontend }: Config): number {
  if (frontend.workers !== 'auto') return frontend.workers
  return Math.max(1, availableParallelism() - engine.threads)
}
