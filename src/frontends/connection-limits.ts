import { Worker } from 'node:worker_threads'
import {
  countFrontend,
  FrontendCounter,
  type FrontendCounters,
  Protocol,
} from '../counters/frontend.ts'
import { openLibc } from '../native/libc.ts'
import type { IpFamily } from '../protocol/records.ts'
import { threadUrl } from '../thread-url.ts'
import type { ConnectionLimit } from './surplus-connections.ts'

/** Limits on the connections of one process; 0 does not limit. They can be cloned. */
export type ConnectionLimitsOptions = {
  /** Connections of one IPv4 address or IPv6 /64 to all listeners together. */
  readonly perAddress: number
  readonly listeners: readonly {
    readonly host: string
    readonly port: number
    /** Connections to it, of all addresses. */
    readonly maxConnections: number
    /** CIDR ranges whose connections are many clients'. */
    readonly trustedProxies: readonly string[]
  }[]
}

/** What a look at the connections found and did. It can be cloned. */
export type LookReport = {
  /** Connections that stay. */
  readonly open: number
  readonly ended: readonly { readonly limit: ConnectionLimit; readonly family: IpFamily }[]
}

export type ConnectionLimits = {
  /** Connections at the last look; undefined where nothing limits them. */
  readonly open: number | undefined
  stop(): Promise<void>
}

const COUNTER_OF = {
  connections_per_address: FrontendCounter.overAddress,
  max_connections: FrontendCounter.overListener,
} as const satisfies Record<ConnectionLimit, FrontendCounter>

/** Why connections cannot be limited on this machine; undefined where they can, or where nothing limits them. */
export function whyUnlimited(options: ConnectionLimitsOptions): string | undefined {
  if (!isLimiting(options)) return undefined
  try {
    openLibc()
    return undefined
  } catch (error) {
    return (error as Error).message
  }
}

function isLimiting({ listeners, perAddress }: ConnectionLimitsOptions): boolean {
  return perAddress > 0 || listeners.some(({ maxConnections }) => maxConnections > 0)
}

/**
 * Has a thread look every second at the connections that this process accepted, and end the newest of those over a limit: uWebSockets.js
 * tells of no connection before its request, and the files of thousands would hold its event loop up. Starts nothing where nothing limits or
 * `whyUnlimited` has a reason. Resolves after the first look: a thread needs files to start, and whoever takes all of them could come before.
 * `failed` is told of what ends the thread.
 */
export async function startConnectionLimits(
  options: ConnectionLimitsOptions,
  counters: FrontendCounters,
  failed: (error: unknown) => void,
): Promise<ConnectionLimits> {
  if (!isLimiting(options) || whyUnlimited(options) !== undefined) {
    return { open: undefined, stop: async () => {} }
  }
  const thread = new Worker(threadUrl('./connection-thread', import.meta.url), {
    workerData: options,
    name: 'connections',
  })
  let open: number | undefined
  thread.on('message', (report: LookReport) => {
    open = report.open
    for (const { family, limit } of report.ended)
      countFrontend(counters, Protocol.http, family, COUNTER_OF[limit])
  })
  thread.on('error', error => {
    open = undefined
    failed(error)
  })
  const gone = new Promise<void>(resolve => {
    thread.once('exit', () => resolve())
  })
  const looked = new Promise<void>(resolve => {
    thread.once('message', () => resolve())
  })
  await Promise.race([looked, gone])
  return {
    get open() {
      return open
    },
    stop() {
      thread.postMessage('stop')
      return gone
    },
  }
}
