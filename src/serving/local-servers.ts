import { setTimeout as sleep } from 'node:timers/promises'
import type { Admin } from '../admin/admin.ts'
import { isReported } from '../admin/rpc.ts'
import type { FrontendCounters } from '../counters/frontend.ts'
import { type AcceptGuard, openAcceptGuard } from '../frontends/accept-guard.ts'
import { loadDashboard } from '../frontends/api/pages/dashboard.ts'
import type { StaticFiles } from '../frontends/api/pages/static-files.ts'
import { startApiServer } from '../frontends/api/server/server.ts'
import { ConnectionLimits } from '../frontends/connection-limits.ts'
import { startHttpServer } from '../frontends/http/server.ts'
import { hasConnections } from '../frontends/listen.ts'
import type { WebsocketLimits } from '../frontends/websocket/limits.ts'
import {
  startWebsocketTracker,
  type WebsocketOptions,
  type WebsocketTracker,
} from '../frontends/websocket/tracker.ts'
import type { Link } from '../link/link.ts'
import type { Logger } from '../log.ts'
import type { ApiListener, HttpListener } from './listeners.ts'

const STOP_MILLIS_MAX = 5000
const STOP_CHECK_MILLIS = 10
/** After the idle timeout of a server and this time, no request can be in flight. */
const HAND_OVER_MARGIN_MILLIS = 4000
/** Maximum of both: a longer idle timeout does not delay a reload any further. */
const HAND_OVER_MILLIS_MAX = 80_000
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

type Server = {
  readonly port: number
  readonly idleSeconds: number
  readonly connections: number | undefined
  readonly inFlight: number
  /** Open WebSockets. An API server does not have any. */
  readonly webSockets?: number
  stopListening(): void
  handOver(): Promise<void>
  /** Closes its WebSockets so that clients reconnect. */
  closeWebSockets?(): void
  close(): void
}

export type LocalServersOptions = {
  readonly listeners: FrontendListeners
  readonly websocket: Omit<WebsocketOptions, 'limits' | 'log'>
  readonly link: Link
  readonly admin: Admin
  readonly counters: FrontendCounters
  readonly log: Logger
}

/** The servers of one process, with their link. */
export class LocalServers {
  readonly #options: LocalServersOptions
  readonly #websocket: WebsocketTracker
  readonly #limits: ConnectionLimits
  readonly #acceptGuard: AcceptGuard | undefined
  #listeners: FrontendListeners
  #servers: readonly Server[] = []
  /** Servers that others have replaced, and that still have connections. */
  readonly #leaving = new Set<Server>()
  #drainMillis: number

  private constructor(options: LocalServersOptions, websocket: WebsocketTracker) {
    const { counters, listeners } = options
    this.#options = options
    this.#listeners = listeners
    this.#drainMillis = listeners.websocket.drainTime * 1000
    this.#websocket = websocket
    this.#limits = new ConnectionLimits(listeners.connectionsPerAddress, counters)
    this.#acceptGuard = openAcceptGuard(options.log)
  }

  /** Starts all listeners once the link is up. Rejects when one cannot listen. */
  static async start(options: LocalServersOptions): Promise<LocalServers> {
    const { counters, link, listeners, log } = options
    await link.whenUp()
    const limits = { ...options.websocket, limits: listeners.websocket, log }
    const websocket = await startWebsocketTracker(limits, link, counters)
    const servers = new LocalServers(options, websocket)
    servers.#servers = await servers.#start(listeners)
    return servers
  }

  /** Open connections. Undefined if a listener is on uWebSockets.js, which does not report them. */
  get connections(): number | undefined {
    const all = [...this.#listeners.http, ...this.#listeners.api]
    return all.every(({ backend }) => backend === 'node') ? this.#limits.open : undefined
  }

  /**
   * Starts servers for `listeners`, which take over from the running ones. No connection is
   * refused; open HTTP connections are closed after an answer or when they are idle, WebSockets
   * continue for drainTime. Resolves when the new servers listen. Rejects when one cannot, and the
   * old ones stay.
   */
  async replace(listeners: FrontendListeners): Promise<void> {
    this.#drainMillis = listeners.websocket.drainTime * 1000
    this.#websocket.setLimits(listeners.websocket)
    const old = this.#servers
    this.#servers = await this.#start(listeners)
    this.#listeners = listeners
    // Other servers listen on the same ports, so the owner of a connection is not known.
    void this.#leave(old, () => false)
  }

  /** Ends in the same way as the old servers of `replace`, after another process has taken over. */
  async handOver(): Promise<void> {
    const ports = new Set(this.#servers.map(({ port }) => port))
    await this.#leave(this.#servers, () => hasConnections(ports) === false)
    await this.#close()
  }

  /** Stops listening, answers pending requests for at most five seconds, and closes everything. */
  async stop(): Promise<void> {
    const all = [...this.#servers, ...this.#leaving]
    this.#leaving.clear()
    for (const server of all) server.stopListening()
    this.#websocket.closeSockets()
    const until = performance.now() + STOP_MILLIS_MAX
    while (this.#isAnswering(all) && performance.now() < until) {
      await sleep(STOP_CHECK_MILLIS)
    }
    for (const server of all) server.close()
    await this.#close()
  }

  async #close(): Promise<void> {
    this.#acceptGuard?.stop()
    await this.#websocket.close()
    this.#options.link.close()
  }

  /** Starts the servers of `listeners`, all or none. */
  async #start({ api, connectionsPerAddress, http }: FrontendListeners): Promise<Server[]> {
    const started: Server[] = []
    this.#limits.perAddress = connectionsPerAddress
    try {
      for (const listener of http) started.push(await this.#startHttp(listener))
      const pages = api.length > 0 ? loadDashboard() : undefined
      for (const listener of api) started.push(await this.#startApi(listener, pages))
    } catch (error) {
      for (const server of started) server.close()
      throw error
    }
    return started
  }

  #startHttp(listener: HttpListener): Promise<Server> {
    const { admin, counters, link } = this.#options
    return startHttpServer(listener, link, counters, {
      websocket: this.#websocket,
      gate: this.#limits.gate(listener),
      acceptGuard: this.#acceptGuard,
      signalling: request => admin.signalRtc(request),
    })
  }

  #startApi(listener: ApiListener, pages: StaticFiles | undefined): Promise<Server> {
    const { admin, counters, log } = this.#options
    const onError = (err: unknown, operation: string) => {
      if (!isReported(err)) log.error({ err, operation }, 'API request failed')
    }
    const options = { ...listener, onError, ...(pages && { pages }) }
    const gate = this.#limits.gate(listener)
    return startApiServer(options, admin, counters, gate, this.#acceptGuard)
  }

  #isAnswering(servers: readonly Server[]): boolean {
    return [...servers, this.#websocket].some(({ inFlight }) => inFlight > 0)
  }

  /**
   * Resolves when `servers` are closed, early if `isIdle` returns that they do not have
   * connections.
   */
  async #leave(servers: readonly Server[], isIdle: () => boolean): Promise<void> {
    for (const server of servers) this.#leaving.add(server)
    await Promise.all(servers.map(server => server.handOver()))
    const begun = performance.now()
    const passed = () => performance.now() - begun
    const isUnused = () => servers.every(({ connections }) => connections === 0) || isIdle()
    const idle = Math.max(0, ...servers.map(server => server.idleSeconds * 1000))
    const handOver = Math.min(HAND_OVER_MILLIS_MAX, idle + HAND_OVER_MARGIN_MILLIS)
    while (
      (passed() < handOver && !isUnused()) ||
      (passed() < LAST_ANSWER_MILLIS_MAX && this.#isAnswering(servers))
    ) {
      await sleep(HAND_OVER_CHECK_MILLIS)
    }
    await this.#drain(servers)
    for (const server of servers) {
      if (this.#leaving.delete(server)) server.close()
    }
  }

  /** Serves the WebSockets of `servers` until they are closed, for at most drainTime. */
  async #drain(servers: readonly Server[]): Promise<void> {
    const begun = performance.now()
    const open = () =>
      servers.filter(server => this.#leaving.has(server) && (server.webSockets ?? 0) > 0)
    while (open().length > 0 && performance.now() - begun < this.#drainMillis) {
      await sleep(HAND_OVER_CHECK_MILLIS)
    }
    for (const server of open()) server.closeWebSockets?.()
    const closedAt = performance.now()
    while (this.#websocket.inFlight > 0 && performance.now() - closedAt < STOP_MILLIS_MAX) {
      await sleep(STOP_CHECK_MILLIS)
    }
  }
}
