import { createServer, type Server } from 'node:net'
import t from 'tap'
import { loadConfig } from '../../src/config/load.ts'
import { httpListeners } from '../../src/serving/listeners.ts'
import { claimListeners, claimTcp } from '../../src/serving/port-claims.ts'
import { claimUdp } from '../../src/threads/udp-listeners.ts'
import { createTestLog } from '../app/fixtures/log-lines.ts'

/** An address of TEST-NET-1 (RFC 5737), which no machine has. */
const NOBODYS = { host: '192.0.2.1', port: 6969 }

async function listening(host: string): Promise<{ server: Server; port: number }> {
  const server = createServer()
  await new Promise<void>(resolve => server.listen({ host, port: 0 }, resolve))
  const address = server.address()
  return { server, port: typeof address === 'object' && address ? address.port : 0 }
}

const NO_TLS = { pairOf: () => undefined }

t.test('only enabled servers listen, with the tracker’s numbers', async t => {
  const { config } = loadConfig({
    environment: {
      HTTP_0_BIND_ADDRESS: '127.0.0.1:7000',
      HTTP_0_REAL_IP: 'X-Client',
      HTTP_1_ENABLED: 'false',
      TRACKER__NUMWANT_DEFAULT: '30',
    },
  })
  t.match(httpListeners(config, NO_TLS, 'uws'), [
    {
      host: '127.0.0.1',
      port: 7000,
      realIpHeader: 'X-Client',
      numwantDefault: 30,
      numwantMaximum: 72,
      minInterval: 1800,
    },
  ])
  t.equal(httpListeners(config, NO_TLS, 'uws').length, 1)
})

t.test('port 0 becomes a free port, another one for each listener, free again', async t => {
  const { log } = createTestLog()
  const wanted = [
    { host: '127.0.0.1', port: 0, name: 'first' },
    { host: '127.0.0.1', port: 0, name: 'second' },
  ]
  for (const claim of [claimTcp, claimUdp]) {
    const { listeners, release } = await claimListeners(wanted, log, claim)
    t.match(listeners, [{ name: 'first' }, { name: 'second' }])
    t.ok(listeners.every(({ port }) => port > 0))
    t.not(listeners[0]?.port, listeners[1]?.port)
    for (const listener of listeners) {
      await t.rejects(
        claimListeners([listener], log, claim),
        /the port is in use by another program/,
      )
    }
    release()
    const again = await claimListeners(listeners, log, claim)
    again.release()
    t.same(again.listeners, listeners, 'the released ports can be reserved again')
  }
})

t.test('a port that another program has is named', async t => {
  const { server, port } = await listening('127.0.0.1')
  t.teardown(() => server.close())
  const { log } = createTestLog()
  await t.rejects(claimListeners([{ host: '127.0.0.1', port }], log), {
    exitStatus: 69,
    message: `cannot listen on 127.0.0.1 port ${port}: the port is in use by another program. Stop it or change bind_address.`,
  })
})

t.test('the error for a port that two listeners of the configuration use names both', async t => {
  const { server, port } = await listening('127.0.0.1')
  await new Promise(resolve => server.close(resolve))
  const { log } = createTestLog()
  const wanted = [
    { host: '0.0.0.0', port },
    { host: '127.0.0.1', port },
  ]
  await t.rejects(claimListeners(wanted, log), {
    exitStatus: 69,
    message: `cannot listen on 127.0.0.1 port ${port}: another listener of the configuration uses the port, on 0.0.0.0. Remove one of the two.`,
  })
})

t.test('0.0.0.0 and [::] can have the same port', async t => {
  const { server, port } = await listening('127.0.0.1')
  await new Promise(resolve => server.close(resolve))
  const { log } = createTestLog()
  const wanted = [
    { host: '0.0.0.0', port },
    { host: '::', port },
  ]
  const { listeners, release } = await claimListeners(wanted, log)
  release()
  t.same(listeners, wanted)
})

t.test('[::] alone accepts IPv4 too, so the port must be free over IPv4', async t => {
  const { server, port } = await listening('0.0.0.0')
  t.teardown(() => server.close())
  const { log } = createTestLog()
  await t.rejects(claimListeners([{ host: '::', port }], log), {
    exitStatus: 69,
    message: `cannot listen on :: port ${port}: the port is in use by another program. Stop it or change bind_address.`,
  })
})

t.test('an address that this machine does not have is skipped with a warning', async t => {
  const { log, lines } = createTestLog()
  const { listeners, release } = await claimListeners(
    [NOBODYS, { host: '127.0.0.1', port: 0 }],
    log,
  )
  release()
  t.match(listeners, [{ host: '127.0.0.1' }])
  t.equal(listeners.length, 1)
  t.match(lines, [{ level: 40, address: '192.0.2.1', port: 6969, code: 'EADDRNOTAVAIL' }])
})

t.test('without an available address the start fails', async t => {
  const { log } = createTestLog()
  await t.rejects(claimListeners([NOBODYS], log), {
    exitStatus: 69,
    message: 'this machine has none of the addresses to listen on: 192.0.2.1 port 6969',
  })
})

t.test('reservations are released when another address is in use', async t => {
  const { server, port } = await listening('127.0.0.1')
  t.teardown(() => server.close())
  const free = await listening('127.0.0.1')
  await new Promise(resolve => free.server.close(resolve))
  const { log } = createTestLog()
  const first = { host: '127.0.0.1', port: free.port }
  await t.rejects(claimListeners([first, { host: '127.0.0.1', port }], log))
  const again = await claimListeners([first], log)
  again.release()
  t.same(again.listeners, [first])
})
