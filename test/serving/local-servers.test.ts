import { connect } from 'node:net'
import { MessageChannel } from 'node:worker_threads'
import t from 'tap'
import { createFrontendCounters } from '../../src/counters/frontend.ts'
import { answer, answerBytesMax } from '../../src/engine/answer.ts'
import type { Link } from '../../src/link/link.ts'
import { connectPortLink, servePort } from '../../src/link/port.ts'
import type { HttpListener } from '../../src/serving/listeners.ts'
import { LocalServers, type LocalServersOptions } from '../../src/serving/local-servers.ts'
import { claimListeners } from '../../src/serving/port-claims.ts'
import { listenerOn } from '../app/fixtures/engine-start.ts'
import { createTestLog } from '../app/fixtures/log-lines.ts'
import { RawConnection } from '../fixtures/http-client.ts'
import { announceTarget } from '../fixtures/load.ts'
import { NOW, newEngine } from '../fixtures/tracker-client.ts'
import { WEBSOCKET_LIMITS } from '../fixtures/websocket-limits.ts'
import { createMemoryAdmin } from '../frontends/api/fixtures/memory-admin.ts'

function accepts(port: number): Promise<boolean> {
  return new Promise(resolve => {
    const socket = connect({ host: '127.0.0.1', port })
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
}

function frontendsOn(listener: HttpListener, link: Link): LocalServersOptions {
  return {
    listeners: { http: [listener], api: [], connectionsPerAddress: 0, websocket: WEBSOCKET_LIMITS },
    websocket: { worker: 0, relayPath: undefined },
    link,
    admin: createMemoryAdmin(),
    counters: createFrontendCounters(),
    log: createTestLog().log,
  }
}

t.test('a stop accepts no connections and answers the waiting request', async t => {
  const claims = await claimListeners([listenerOn('127.0.0.1', 0)], createTestLog().log)
  const [listener] = claims.listeners
  if (!listener) throw new Error('no listener')
  const { port1, port2 } = new MessageChannel()
  const link = connectPortLink(port1)
  const frontends = await LocalServers.start(frontendsOn(listener, link))
  claims.release()
  const connection = await RawConnection.open(listener.port)
  const answered = connection.get(announceTarget(1, 1))
  // The engine has not started yet, so the request waits.
  while (link.waiting === 0) await new Promise(resolve => setTimeout(resolve, 5))
  const stop = frontends.stop()
  t.notOk(await accepts(listener.port), 'no new connection')
  const engine = newEngine()
  servePort(
    port2,
    (request, at, reply, replyAt) => answer(engine, request, at, reply, replyAt, NOW),
    answerBytesMax,
  )
  t.match((await answered)?.body.toString('latin1'), 'd8:complete')
  await stop
  await connection.ended()
})

t.test('listeners on unavailable addresses are refused and do not hang', async t => {
  const { port1, port2 } = new MessageChannel()
  t.teardown(() => port2.close())
  const link = connectPortLink(port1)
  t.teardown(() => link.close())
  await t.rejects(LocalServers.start(frontendsOn(listenerOn('192.0.2.1', 6969), link)), {
    message: 'cannot listen on 192.0.2.1 port 6969',
  })
})
