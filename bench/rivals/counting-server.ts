import { startHttpServer } from '../../src/frontends/http/server.ts'
import type { Link } from '../../src/link/link.ts'
import { createFrameCounter } from '../load/link.ts'
import { filledTables, NO_SWEEP_SECONDS, startEngineHost } from '../scenarios/engine-host.ts'

/**
 * muster's HTTP tracker and engine thread with the Unix socket of a worker between them, that counts what passes over it. Tells its parent its
 * port, and at every message the counts since the one before.
 */
export type LinkCounts = { readonly records: number; readonly frames: number }

const PEERS = 100_000
const TORRENTS = 10_000

function counting(link: Link): { readonly link: Link; take(): LinkCounts } {
  const counter = createFrameCounter()
  let records = 0
  let taken = { records: 0, frames: 0 }
  return {
    link: {
      get open() {
        return link.open
      },
      get waiting() {
        return link.waiting
      },
      whenUp: () => link.whenUp(),
      reserve: bytes => link.reserve(bytes),
      submit(at, bytes, waiter) {
        link.submit(at, bytes, {
          reply(reply, replyAt) {
            records++
            counter.see(reply, replyAt)
            waiter.reply(reply, replyAt)
          },
          fail: failure => waiter.fail(failure),
        })
      },
      close: () => link.close(),
    },
    take() {
      const { frames } = counter
      const counts = { records: records - taken.records, frames: frames - taken.frames }
      taken = { records, frames }
      return counts
    },
  }
}

const host = await startEngineHost({
  tables: filledTables(TORRENTS, PEERS),
  sweepSeconds: NO_SWEEP_SECONDS,
})
const counted = counting(await host.link('Unix socket'))
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
  },
  counted.link,
)
process.on('message', () => process.send?.(counted.take()))
process.on('disconnect', () => process.exit(0))
process.send?.({ port: server.port })
