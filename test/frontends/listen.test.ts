import t, { type Test } from 'tap'
import { freePort } from '../../bench/rivals/free-port.ts'
import { hasConnections, type Listening, listen } from '../../src/frontends/listen.ts'
import { testBackend } from '../fixtures/http-backend.ts'
import { RawConnection } from '../fixtures/http-client.ts'

/** An app that sends its name once on each connection. */
async function answering(t: Test, name: string, port: number): Promise<Listening> {
  const app = testBackend.createApp()
  t.teardown(() => app.close())
  app.any('/*', response => response.end(name, true))
  return listen(testBackend, app, '127.0.0.1', port)
}

t.test('an unavailable address is refused', async t => {
  const app = testBackend.createApp()
  await t.rejects(listen(testBackend, app, '192.0.2.1', 6969), {
    message: 'cannot listen on 192.0.2.1 port 6969',
  })
})

t.test('no connection is lost while an address is handed over and over', async t => {
  const port = await freePort()
  const answers = new Map<string, number>()
  let isOver = false
  let running = await answering(t, '0', port)
  const clients = Array.from({ length: 16 }, async () => {
    while (!isOver) {
      const connection = await RawConnection.open(port)
      const answer = (await connection.get('/'))?.body.toString() ?? 'none'
      answers.set(answer, (answers.get(answer) ?? 0) + 1)
      await connection.ended()
    }
  })
  for (let turn = 1; turn <= 5; turn++) {
    const next = await answering(t, String(turn), port)
    await running.handOver()
    running = next
  }
  const before = answers.get('5') ?? 0
  while ((answers.get('5') ?? 0) < before + 16) await new Promise(resolve => setTimeout(resolve, 5))
  isOver = true
  await Promise.all(clients)
  t.notOk(answers.has('none'), 'every connection was answered')
  running.stop()
})

t.test('connections that wait when an address is handed over are accepted', async t => {
  const port = await freePort()
  const running = await answering(t, 'before', port)
  const opened = Array.from({ length: 100 }, () => RawConnection.open(port))
  await new Promise(resolve => setImmediate(resolve))
  const next = await answering(t, 'after', port)
  const handedOver = running.handOver()
  // Longer than a listener waits for handshakes.
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 700)
  await handedOver
  for (const connection of await Promise.all(opened)) t.ok((await connection.get('/'))?.body)
  next.stop()
})

t.test('connected sockets are detected, and listening ones are not', async t => {
  const listening = await answering(t, 'a', await freePort())
  const ports = new Set([listening.port])
  t.equal(hasConnections(ports), false)
  const connection = await RawConnection.open(listening.port)
  // The kernel connects a client before this thread accepts it.
  while (hasConnections(ports) === false) await new Promise(resolve => setTimeout(resolve, 5))
  t.equal(hasConnections(ports), true)
  await connection.get('/')
  await connection.ended()
  while (hasConnections(ports)) await new Promise(resolve => setTimeout(resolve, 5))
  t.equal(hasConnections(new Set([1])), false)
})
