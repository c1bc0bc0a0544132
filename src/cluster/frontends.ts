import { setTimeout as sleep } from 'node:timers/promises'
import {
  type HttpServer,
  type HttpServerOptions,
  startHttpServer,
} from '../frontends/http/server.ts'
import type { Link } from '../link/link.ts'

const DRAIN_MILLIS_MAX = 5000
const DRAIN_CHECK_MILLIS = 10

/** The listeners of one process, with their link. */
export type Frontends = {
  /** Takes no new connections, answers what waits, for five seconds at most, and closes everything. */
  stop(): Promise<void>
}

/** Starts all listeners once the link is up. Rejects when one cannot listen. */
export async function startFrontends(
  listeners: readonly HttpServerOptions[],
  link: Link,
): Promise<Frontends> {
  await link.whenUp()
  const servers: HttpServer[] = []
  for (const listener of listeners) servers.push(await startHttpServer(listener, link))
  return {
    async stop() {
      for (const server of servers) server.stopListening()
      const until = performance.now() + DRAIN_MILLIS_MAX
      while (servers.some(({ inFlight }) => inFlight > 0) && performance.now() < until) {
        await sleep(DRAIN_CHECK_MILLIS)
      }
      for (const server of servers) server.close()
      link.close()
    },
  }
}
