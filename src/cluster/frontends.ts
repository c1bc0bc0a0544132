import { setTimeout as sleep } from 'node:timers/promises'
import type { Admin } from '../admin/admin.ts'
import { isReported } from '../admin/remote.ts'
import { loadDashboard } from '../frontends/api/dashboard.ts'
import { startApiServer } from '../frontends/api/server.ts'
import type { FrontendCounters } from '../frontends/counters.ts'
import { type HttpServerOptions, startHttpServer } from '../frontends/http/server.ts'
import { startWebsocketTracker, type WebsocketOptions } from '../frontends/websocket/server.ts'
import type { Link } from '../link/link.ts'
import type { Logger } from '../log.ts'
import type { ApiListener } from './listeners.ts'

const DRAIN_MILLIS_MAX = 5000
const DRAIN_CHECK_MILLIS = 10

/** What the frontends of a process listen on. It can be cloned. */
export type FrontendListeners = {
  readonly http: readonly HttpServerOptions[]
  readonly api: readonly ApiListener[]
}

/** The listeners of one process, with their link. */
export type Frontends = {
  /** Takes no new connections, answers what waits, for five seconds at most, and closes everything. */
  stop(): Promise<void>
}

type Server = { readonly inFlight: number; stopListening(): void; close(): void }

export type FrontendsOptions = {
  readonly listeners: FrontendListeners
  readonly websocket: WebsocketOptions
  readonly link: Link
  readonly admin: Admin
  readonly counters: FrontendCounters
  readonly log: Logger
}

/** Starts all listeners once the link is up. Rejects when one cannot listen. */
export async function startFrontends(options: FrontendsOptions): Promise<Frontends> {
  const { listeners, link, admin, counters, log } = options
  await link.whenUp()
  const servers: Server[] = []
  const websocket = await startWebsocketTracker(options.websocket, link, counters)
  for (const listener of listeners.http) {
    servers.push(await startHttpServer(listener, link, counters, websocket))
  }
  const onError = (err: unknown, operation: string) => {
    if (!isReported(err)) log.error({ err, operation }, 'the API could not do what it was asked')
  }
  const pages = listeners.api.length > 0 ? loadDashboard() : undefined
  for (const listener of listeners.api) {
    const more = { onError, ...(pages && { pages }) }
    servers.push(await startApiServer({ ...listener, ...more }, admin, counters))
  }
  return {
    async stop() {
      for (const server of servers) server.stopListening()
      websocket.closeSockets()
      const until = performance.now() + DRAIN_MILLIS_MAX
      const waits = () => [...servers, websocket].some(({ inFlight }) => inFlight > 0)
      while (waits() && performance.now() < until) {
        await sleep(DRAIN_CHECK_MILLIS)
      }
      for (const server of servers) server.close()
      await websocket.close()
      link.close()
    },
  }
}
