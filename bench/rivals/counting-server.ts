import { createFrontendCounters } from '../../src/counters/frontend.ts'
import { LinkCounter } from '../../src/counters/link.ts'
import { startHttpServer } from '../../src/frontends/http/server.ts'
import type { Link } from '../../src/link/link.ts'
import { STANDARD_ANSWERS } from '../../src/protocol/failures.ts'
import { filledTables, NO_SWEEP_SECONDS, startEngineHost } from '../scenarios/engine-host.ts'

/**
 * muster's HTTP tracker and engine thread, connected by the Unix socket of a worker. Sends its port
 * to the parent process, and for every message the counts since the last one.
 */
export type LinkCounts = { readonly records: number; readonly frames: number }

const PEERS = 100_000
const TORRENTS = 10_000

function readCounts({ counters }: Link): LinkCounts {
  return {
    records: counters[LinkCounter.records] as number,
    frames: counters[LinkCounter.frames] as number,
  }
}

const host = await startEngineHost({
  tables: filledTables(TORRENTS, PEERS),
  sweepSeconds: NO_SWEEP_SECONDS,
})
const link = await host.link('Unix socket')
let taken = readCounts(link)
const server = await startHttpServer(
  {
    host: '127.0.0.1',
    port: 0,
    realIpHeader: '',
    trustedProxies: [],
    proxyProtocol: false,
    usePayloadIp: false,
    pathRules: { keys: false, users: false },
    numwantDefault: 72,
    numwantMaximum: 72,
    minInterval: 1800,
    failures: STANDARD_ANSWERS,
    websocket: false,
    websocketInterval: 120,
  },
  link,
  createFrontendCounters(),
)
process.on('message', () => {
  const now = readCounts(link)
  process.send?.({ records: now.records - taken.records, frames: now.frames - taken.frames })
  taken = now
})
process.on('disconnect', () => process.exit(0))
process.send?.({ port: server.port })
