import { setTimeout as sleep } from 'node:timers/promises'
import type { Admin } from '../admin/admin.ts'
import { isReported } from '../admin/rpc.ts'
import type { FrontendCounters } from '../counters/frontend.ts'
import { loadDashboard } from '../frontends/api/pages/dashboard.ts'
import { startApiServer } from '../frontends/api/server.ts'
import { ConnectionLimits } from '../frontends/connection-limits.ts'
import { startHttpServer } from '../frontends/http/server.ts'
import { hasConnections } from '../frontends/listen.ts'
import type { WebsocketLimits } from '../frontends/websocket/limits.ts'
import { startWebsocketTracker, type WebsocketOptions } from '../frontends/websocket/tracker.ts'
import type { Link } from '../link/link.ts'
import type { Logger } from '../log.ts'
import type { ApiListener, HttpListener } from './listeners.ts'

const STOP_MILLIS_MAX = 5000
const STOP_CHECK_MILLIS = 10
/**
 * uWebSockets.js closes an idle connection after about 12 s. After that, no request can be in
 * flight.
 */
const HAND_OVER_MILLIS = 16_000
/** Maximum wait for answers after that. */
const LAST_ANSWER_MILLIS_MAX = 60_000
const HAND_OVER_CHECK_MILLIS = 250

/** Listeners of a process. The value can be cloned. */
export type FrontendListeners = {
  readonly http: readonly HttpListener[]
  readonly api: readonly ApiListener[]
  /** Maximum connections of one address to all listeners of a process. 0 is unlimited. */
  readonly connectionsPerAddress: number
  readonly websocket: WebsocketLimits
}

/** The listeners of one process, with their link. */
export type Frontends = {
  /** Open connections. Undefined if a listener is on uWebSockets.js, which does not report them. */
  readonly connections: number | undefined
  /**
   * Starts servers for `listeners`, which take over from the running ones. No connection is
   * refused; open HTTP connections are closed after an answer or when they are idle, WebSockets
   * continue for drainTime. Resolves when the new servers listen. Rejects when one cannot, and the
   * old ones stay.
   */
  replace(listeners: FrontendListeners): Promise<void>
  /** Ends in the same way as the old servers of `replace`, after another process has taken over. */
  handOver(): Promise<void>
  /** Stops listening, answers pending requests for at most five seconds, and closes everything. */
  stop(): Promise<void>
}

type Server = {
  readonly port: number
  readonly inFlight: number
  /** Open WebSockets. An API server does not have any. */
  readonly webSockets?: number
  stopListening(): void
  handOver(): Promise<void>
  /** Closes its WebSockets so that clients reconnect. */
  closeWebSockets?(): void
  close(): void
}

export type FrontendsOptions = {
  readonly listeners: FrontendListeners
  readonly websocket: Omit<WebsocketOptions, 'limits' | 'log'>
  readonly link: Link
  readonly admin: Admin
  readonly counters: FrontendCounters
  readonly log: Logger
}

/** Starts all listeners once the link is up. Rejects when one cannot listen. */
export async function startFrontends(options: FrontendsOptions): Promise<Frontends> {
  const { link, admin, counters, log } = options
  const onError = (err: unknown, operation: string) => {
    if (!isReported(err)) log.error({ err, operation }, 'API request failed')
  }
  async function startServers(wanted: FrontendListeners): Promise<Server[]> {
    const pages = wanted.api.length > 0 ? loadDashboard() : undefined
    const started: Server[] = []
    limits.perAddress = wanted.connectionsPerAddress
    try {
      for (const listener of wanted.http)
        started.push(
          await startHttpServer(listener, link, counters, {
            websocket,
            gate: limits.gate(listener),
            signalling: request => admin.signalRtc(request),
          }),
        )
      for (const listener of wanted.api) {
        const more = { onError, ...(pages && { pages }) }
        started.push(
          await startApiServer({ ...listener, ...more }, admin, counters, limits.gate(listener)),
        )
      }
    } catch (error) {
      for (const server of started) server.close()
      throw error
    }
    return started
  }

  const leaving = new Set<Server>()
  const isAnswering = (some: readonly Server[]) =>
    [...some, websocket].some(({ inFlight }) => inFlight > 0)

  /**
   * Resolves when `servers` are closed, early if `isIdle` returns that they do not have
   * connections.
   */
  async function leave(servers: readonly Server[], isIdle: () => boolean): Promise<void> {
    for (const server of servers) leaving.add(server)
    await Promise.all(servers.map(server => server.handOver()))
    const begun = performance.now()
    const passed = () => performance.now() - begun
    while (
      passed() < LAST_ANSWER_MILLIS_MAX &&
      (isAnswering(servers) || (passed() < HAND_OVER_MILLIS && !isIdle()))
    ) {
      await sleep(HAND_OVER_CHECK_MILLIS)
    }
    await drain(servers)
    for (const server of servers) {
      if (leaving.delete(server)) server.close()
    }
  }

  /** Serves the WebSockets of `servers` until they are closed, for at most drainTime. */
  async function drain(servers: readonly Server[]): Promise<void> {
    const begun = performance.now()
    const open = () => servers.filter(server => leaving.has(server) && (server.webSockets ?? 0) > 0)
    while (open().length > 0 && performance.now() - begun < drainMillis) {
      await sleep(HAND_OVER_CHECK_MILLIS)
    }
    for (const server of open()) server.closeWebSockets?.()
    const closedAt = performance.now()
    while (websocket.inFlight > 0 && performance.now() - closedAt < STOP_MILLIS_MAX) {
      await sleep(STOP_CHECK_MILLIS)
    }
  }

  await link.whenUp()
  let drainMillis = options.listeners.websocket.drainTime * 1000
  const websocket = await startWebsocketTracker(
    { ...options.websocket, limits: options.listeners.websocket, log },
    link,
    counters,
  )
  const limits = new ConnectionLimits(options.listeners.connectionsPerAddress, counters)
  let { listeners } = options
  let servers = await startServers(listeners)
  return {
    get connections() {
      const all = [...listeners.http, ...listeners.api]
      return all.every(({ backend }) => backend === 'node') ? limits.open : undefined
    },
    async replace(wanted) {
      drainMillis = wanted.websocket.drainTime * 1000
      websocket.setLimits(wanted.websocket)
      const old = servers
      servers = await startServers(wanted)
      listeners = wanted
      // Other servers listen on the same ports, so the owner of a connection is not known.
      void leave(old, () => false)
    },
    async handOver() {
      const ports = new Set(servers.map(({ port }) => port))
      await leave(servers, () => hasConnections(ports) === false)
      await websocket.close()
      link.close()
    },
    async stop() {
      const all = [...servers, ...leaving]
      leaving.clear()
      for (const server of all) server.stopListening()
      websocket.closeSockets()
      const until = performance.now() + STOP_MILLIS_MAX
      while (isAnswering(all) && performance.now() < until) {
        await sleep(STOP_CHECK_MILLIS)
      }
      for (const server of all) server.close()
      await websocket.close()
      link.close()
    },
  }
}
