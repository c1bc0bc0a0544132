import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import t, { type Test } from 'tap'
import { threadUrl } from '../../src/thread-url.ts'
import { type LogLine, startTracker } from '../fixtures/start-tracker.ts'
import type { UdpFlood } from './fixtures/udp-flood-thread.ts'

const SOCKETS = 16
const TORRENTS = 3

type Flood = { stop(): Promise<{ sent: number; answers: number }> }

/** Resolves once the tracker is under load. */
async function startFlood(t: Test, host: string, port: number): Promise<Flood> {
  const control = new Int32Array(new SharedArrayBuffer(4))
  const workerData: UdpFlood = { host, port, sockets: SOCKETS, torrents: TORRENTS, control }
  const worker = new Worker(threadUrl('./fixtures/udp-flood-thread', import.meta.url), {
    workerData,
  })
  t.teardown(() => Atomics.store(control, 0, 1))
  await once(worker, 'message')
  return {
    async stop() {
      const told = once(worker, 'message')
      Atomics.store(control, 0, 1)
      return (await told)[0] as { sent: number; answers: number }
    },
  }
}

for (const [signal, method, threads] of [
  ['SIGTERM', 'recvmmsg', 2],
  ['SIGINT', 'recvmmsg', 2],
  ['SIGTERM', 'dgram', 1],
] as const) {
  t.test(
    `${signal} under a flood stops ${threads} ${method} threads a family, and exits 0`,
    async t => {
      const tracker = await startTracker(t, {
        udp_server: ['127.0.0.1:0', '[::1]:0'].map(bind_address => ({
          bind_address,
          receive_method: method,
          udp_threads: threads,
        })),
        frontend: { workers: 0 },
      })
      const listening = tracker.log.filter(({ server }) => server === 'udp')
      t.match(listening, [
        { address: '127.0.0.1', method, threads },
        { address: '::1', method, threads },
      ])
      const floods = await Promise.all(
        ['127.0.0.1', '::1'].map(host => startFlood(t, host, tracker.port('udp', host))),
      )
      t.equal(await tracker.stop(signal), 0)
      for (const flood of floods) {
        const { sent, answers } = await flood.stop()
        t.comment(`${sent} sent, ${answers} answered`)
        t.ok(sent > answers, 'there was more than it could answer, to the end')
      }
      const line = (text: string) => tracker.log.find(({ msg }) => msg === text) as LogLine
      t.match(line('stopped'), {
        torrents: TORRENTS,
        peers_ipv4: SOCKETS,
        peers_ipv6: SOCKETS,
        seeders: SOCKETS,
        leechers: SOCKETS,
        expired: 0,
        evicted: 0,
      })
      t.equal(tracker.log.at(-1), line('stopped'), 'and it said nothing more')
      t.same(tracker.warnings(), [])
      t.equal(tracker.stderr(), '')
    },
  )
}
