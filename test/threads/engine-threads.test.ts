import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { MessageChannel } from 'node:worker_threads'
import t from 'tap'
import { createFrontendCounters } from '../../src/counters/frontend.ts'
import type { Link } from '../../src/link/link.ts'
import { connectPortLink } from '../../src/link/port.ts'
import { connectSocketLink } from '../../src/link/socket.ts'
import { LocalServers } from '../../src/serving/local-servers.ts'
import { claimListeners } from '../../src/serving/port-claims.ts'
import { startEngineThreads } from '../../src/threads/engine-threads.ts'
import {
  engineStart,
  listenerOn,
  runningEngineThreads,
  testFolder,
} from '../app/fixtures/engine-start.ts'
import { createTestLog } from '../app/fixtures/log-lines.ts'
import { getBencoded } from '../fixtures/http-client.ts'
import { announceTarget } from '../fixtures/load.ts'
import { WEBSOCKET_LIMITS } from '../fixtures/websocket-limits.ts'
import { createMemoryAdmin } from '../frontends/api/fixtures/memory-admin.ts'

async function frontendOver(t: Parameters<typeof testFolder>[0], link: Link): Promise<string> {
  const claims = await claimListeners([listenerOn('127.0.0.1', 0)], createTestLog().log)
  t.teardown(claims.release)
  const { listeners } = claims
  const frontends = await LocalServers.start({
    listeners: { http: listeners, api: [], connectionsPerAddress: 0, websocket: WEBSOCKET_LIMITS },
    websocket: { worker: 0, relayPath: undefined },
    link,
    admin: createMemoryAdmin(),
    counters: createFrontendCounters(),
    log: createTestLog().log,
  })
  t.teardown(() => frontends.stop())
  return `http://127.0.0.1:${listeners[0]?.port}`
}

t.test('all threads and both kinds of link serve the same swarms', async t => {
  const engineThreads = await runningEngineThreads(t, 2)
  const { port1, port2 } = new MessageChannel()
  engineThreads.link(port2)
  const links = [
    connectPortLink(port1),
    connectSocketLink(engineThreads.socketPathFor(0)),
    connectSocketLink(engineThreads.socketPathFor(1)),
  ]
  t.not(engineThreads.socketPathFor(0), engineThreads.socketPathFor(1))
  t.equal(engineThreads.socketPathFor(2), engineThreads.socketPathFor(0))
  for (const [n, link] of links.entries()) {
    const url = await frontendOver(t, link)
    t.match(await getBencoded(url, announceTarget(2 * n + 1, 1)), { incomplete: n + 1 })
  }
})

t.test('a thread that cannot serve is reported dead with the reason', async t => {
  const folder = join(testFolder(t), 'missing')
  const { index, error } = await new Promise<{ index: number; error: unknown }>(resolve => {
    startEngineThreads(engineStart(1), folder, (index, error) => resolve({ index, error }))
  })
  t.equal(index, 0)
  t.match(error, Error)
})

t.test('a stopped thread is not reported as dead and removes its socket', async t => {
  const folder = testFolder(t)
  const deaths: number[] = []
  const engineThreads = startEngineThreads(engineStart(2), folder, index => deaths.push(index))
  await engineThreads.ready
  const link = connectSocketLink(engineThreads.socketPathFor(1))
  t.teardown(() => link.close())
  await link.whenUp()
  await engineThreads.stop()
  t.same(deaths, [])
  t.notOk(existsSync(engineThreads.socketPathFor(0)) || existsSync(engineThreads.socketPathFor(1)))
})

t.test('a thread can be stopped before it serves', async t => {
  const engineThreads = startEngineThreads(engineStart(1), testFolder(t), () => t.fail('died'))
  await engineThreads.stop()
})
