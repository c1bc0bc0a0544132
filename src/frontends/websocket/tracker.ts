import {
  countFrontend,
  FrontendCounter,
  type FrontendCounters,
  Protocol,
} from '../../counters/frontend.ts'
import type { Link } from '../../link/link.ts'
import { WEBSOCKET_MESSAGE_BYTES_MAX } from '../../protocol/limits.ts'
import type { App, WebSocket } from '../adapter.ts'
import { ClientAddresses } from './client-addresses.ts'
import { IDLE_SECONDS_MAX, type WebsocketLimits } from './limits.ts'
import { deliver } from './messages.ts'
import { receive, startSlowLane } from './rates.ts'
import { RefusalLog, type WarnLog } from './refusal-log.ts'
import { Relay } from './relay.ts'
import { Removal } from './removal.ts'
import { type Handshake, Session, type WebsocketRoute } from './session.ts'
import { monotonicSeconds, type Tracker } from './state.ts'
import { upgrade } from './upgrade.ts'
import { startWorkerRelay } from './worker-relay.ts'

export type { WebsocketRoute } from './session.ts'

export type WebsocketOptions = {
  /** Number of this process, by which other processes find its sockets. */
  readonly worker: number
  /** Path of each worker's Unix socket; undefined where there is only one process and node. */
  readonly relayPath: ((worker: number) => string) | undefined
  readonly limits: WebsocketLimits
  readonly log: WarnLog
}

/** The WebTorrent tracker of one process, on the listeners that are added to it. */
export type WebsocketTracker = {
  /** Serves WebSockets on every path of the app. Other requests go to the app's other routes. */
  addRoute(app: App, route: WebsocketRoute): void
  /** Applies to open sockets at once, except the sizes of queues. */
  setLimits(limits: WebsocketLimits): void
  /** Requests that the engine has not answered. */
  readonly inFlight: number
  /** Open sockets: all, or those of one route. */
  openSockets(route?: WebsocketRoute): number
  /**
   * Closes all sockets, or those of one route, with status 1012, service restart (IANA registry of
   * RFC 6455), so that clients reconnect.
   */
  closeSockets(route?: WebsocketRoute): void
  close(): Promise<void>
}

const SERVICE_RESTART = 1012
const UPKEEP_MILLIS = 1000

const decoder = new TextDecoder()

/**
 * Starts the tracker of this process, which asks the engine over `link`. Rejects when the socket
 * for the other workers cannot be created.
 */
export async function startWebsocketTracker(
  options: WebsocketOptions,
  link: Link,
  counters: FrontendCounters,
): Promise<WebsocketTracker> {
  const { limits, log, relayPath, worker } = options
  const tracker: Tracker = {
    worker,
    link,
    counters,
    limits,
    sessions: new Map(),
    addresses: new ClientAddresses(),
    relay: new Relay(worker, message => deliver(tracker, message)),
    workers: undefined,
    removal: new Removal(link, worker),
    refusals: new RefusalLog(log, monotonicSeconds),
    lastNumber: 0,
    inFlight: 0,
    slowed: new Set(),
    waitingBytes: 0,
  }
  if (relayPath) {
    tracker.workers = await startWorkerRelay({
      worker,
      pathOf: relayPath,
      deliver: message => deliver(tracker, message),
      counts: tracker.addresses,
    })
    tracker.relay.add(tracker.workers)
  }
  const timers = [startSlowLane(tracker), startUpkeep(tracker)]
  for (const timer of timers) timer.unref()
  return {
    addRoute: (app, route) => addRoute(tracker, app, route),
    setLimits(wanted) {
      tracker.limits = wanted
    },
    get inFlight() {
      return tracker.inFlight + tracker.removal.waiting
    },
    openSockets: route => sessionsOf(tracker, route).length,
    closeSockets(route) {
      for (const { socket } of sessionsOf(tracker, route)) socket.end(SERVICE_RESTART, 'restart')
    },
    async close() {
      for (const timer of timers) clearInterval(timer)
      tracker.removal.close()
      await tracker.relay.close()
    },
  }
}

function sessionsOf({ sessions }: Tracker, route: WebsocketRoute | undefined): Session[] {
  return [...sessions.values()].filter(({ handshake }) => !route || handshake.route === route)
}

function addRoute(tracker: Tracker, app: App, route: WebsocketRoute): void {
  app.ws<Handshake>('/*', {
    maxPayloadLength: WEBSOCKET_MESSAGE_BYTES_MAX,
    // A reader that is too slow misses messages. It is not closed, because other clients could
    // cause that.
    maxBackpressure: tracker.limits.backlog,
    closeOnBackpressureLimit: false,
    // startUpkeep does both: uWebSockets.js sends its first ping too late for most proxies.
    idleTimeout: 0,
    sendPingsAutomatically: false,
    upgrade: (response, request, context) => upgrade(tracker, route, response, request, context),
    open: socket => onOpen(tracker, socket),
    message(socket, message) {
      const { session } = socket.getUserData()
      if (!session) return
      session.lastReceivedAt = monotonicSeconds()
      receive(tracker, session, decoder.decode(message))
    },
    pong(socket) {
      const { session } = socket.getUserData()
      if (session) session.lastReceivedAt = monotonicSeconds()
    },
    close: socket => onClose(tracker, socket),
  })
}

function onOpen(tracker: Tracker, socket: WebSocket<Handshake>): void {
  const handshake = socket.getUserData()
  tracker.lastNumber = (tracker.lastNumber + 1) >>> 0
  const use = tracker.addresses.add(handshake.counted)
  shareCount(tracker, handshake.counted)
  const session = new Session(tracker.lastNumber, socket, use, monotonicSeconds())
  handshake.session = session
  tracker.sessions.set(session.number, session)
  countFrontend(tracker.counters, Protocol.websocket, handshake.family, FrontendCounter.connection)
}

function onClose(tracker: Tracker, socket: WebSocket<Handshake>): void {
  const { counted, session } = socket.getUserData()
  if (!session) return
  tracker.sessions.delete(session.number)
  tracker.slowed.delete(session)
  tracker.waitingBytes -= session.release()
  tracker.addresses.remove(counted)
  shareCount(tracker, counted)
  for (const peer of session.peers()) tracker.removal.remove(session.number, peer)
}

/** Reports the socket count of an address to the other workers, if they need it. */
function shareCount({ addresses, workers }: Tracker, address: string): void {
  const count = workers && addresses.change(address)
  if (count) workers.share(count)
}

/**
 * Pings open sockets, which also keeps proxies from closing idle ones, closes those that have not
 * answered for long, and removes expired state.
 */
function startUpkeep(tracker: Tracker): NodeJS.Timeout {
  return setInterval(() => {
    const now = monotonicSeconds()
    const { offersPerAddress, offerTime, pingInterval } = tracker.limits
    for (const session of [...tracker.sessions.values()]) {
      if (now - session.lastPingAt < pingInterval) continue
      if (now - session.lastReceivedAt > IDLE_SECONDS_MAX) {
        session.socket.close()
        continue
      }
      session.lastPingAt = now
      session.socket.ping()
      session.awaited.expire(now, offerTime)
    }
    tracker.addresses.sweep(now, offersPerAddress)
  }, UPKEEP_MILLIS)
}
