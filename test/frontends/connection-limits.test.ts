import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import {
  createFrontendCounters,
  FrontendCounter,
  Protocol,
  readFrontend,
} from '../../src/counters/frontend.ts'
import {
  type ConnectionLimitsOptions,
  startConnectionLimits,
  whyUnlimited,
} from '../../src/frontends/connection-limits.ts'
import { openConnectionLook } from '../../src/frontends/connection-look.ts'
import { openLibc } from '../../src/native/libc.ts'
import { Family } from '../../src/protocol/records.ts'

if (process.platform !== 'linux') t.bailout('connections are limited on Linux')

/** A server that keeps what it accepts. */
async function serverOn(t: Test, host: string): Promise<{ server: Server; port: number }> {
  const server = createServer(socket => socket.on('error', () => {}).resume())
  server.listen(0, host)
  await once(server, 'listening')
  t.teardown(() => server.close())
  return { server, port: (server.address() as AddressInfo).port }
}

/** Opens connections one after another, and resolves when the server has accepted them. */
async function open(
  t: Test,
  { server, port }: { server: Server; port: number },
  from: string,
  count: number,
): Promise<Socket[]> {
  const sockets: Socket[] = []
  for (let n = 0; n < count; n++) {
    const accepted = once(server, 'connection')
    const host = from.includes(':') ? '::1' : '127.0.0.1'
    const socket = connect({ port, host, localAddress: from })
    socket.on('error', () => {}).resume()
    t.teardown(() => socket.destroy())
    await Promise.all([accepted, once(socket, 'connect')])
    sockets.push(socket)
  }
  return sockets
}

/** Resolves when as many of them are closed. */
async function untilClosed(sockets: readonly Socket[], count: number): Promise<void> {
  while (sockets.filter(({ readableEnded }) => readableEnded).length < count) await sleep(5)
}

function limits(
  perAddress: number,
  ...listeners: [port: number, maxConnections: number, trustedProxies?: readonly string[]][]
): ConnectionLimitsOptions {
  return {
    perAddress,
    listeners: listeners.map(([port, maxConnections, trustedProxies = []]) => ({
      host: '127.0.0.1',
      port,
      maxConnections,
      trustedProxies,
    })),
  }
}

function lookAt(t: Test, options: ConnectionLimitsOptions) {
  const connections = openConnectionLook(options, openLibc())
  t.teardown(() => connections.close())
  return connections
}

t.test('a look ends what is over the limit of an address, and no look ends it twice', async t => {
  const server = await serverOn(t, '127.0.0.1')
  const connections = lookAt(t, limits(3, [server.port, 0]))
  const first = await open(t, server, '127.0.0.2', 2)
  t.same(connections.look(), { open: 2, ended: [] })
  const later = await open(t, server, '127.0.0.2', 5)
  const others = await open(t, server, '127.0.0.3', 3)
  const one = { limit: 'connections_per_address', family: Family.ipv4 }
  t.same(connections.look(), { open: 6, ended: [one, one, one, one] })
  t.same(connections.look(), { open: 6, ended: [] }, 'whether they are closed by now or not')
  await untilClosed(later, 4)
  t.same(connections.look(), { open: 6, ended: [] })
  for (const socket of [...first, ...others]) t.notOk(socket.readableEnded)
  t.equal(later.filter(({ readableEnded }) => readableEnded).length, 4)
})

t.test('an older connection outlives a newer one with a lower number', async t => {
  const server = await serverOn(t, '127.0.0.1')
  const connections = lookAt(t, limits(1, [server.port, 0]))
  const [below] = await open(t, server, '127.0.0.3', 1)
  const [older] = await open(t, server, '127.0.0.2', 1)
  t.same(connections.look(), { open: 2, ended: [] })
  below?.destroy()
  while (connections.look().open > 1) await sleep(5)
  const newer = await open(t, server, '127.0.0.2', 1)
  t.equal(connections.look().ended.length, 1)
  await untilClosed(newer, 1)
  t.notOk(older?.readableEnded)
})

t.test('a listener has a limit, which proxies share, and no other', async t => {
  const server = await serverOn(t, '127.0.0.1')
  const other = await serverOn(t, '127.0.0.1')
  const proxies = ['127.0.0.8/32']
  const options = limits(2, [server.port, 4, proxies], [other.port, 0])
  const connections = lookAt(t, options)
  await open(t, server, '127.0.0.8', 5)
  await open(t, other, '127.0.0.8', 1)
  const { ended, open: left } = connections.look()
  t.same(ended, [{ limit: 'max_connections', family: Family.ipv4 }])
  t.equal(left, 5)
})

t.test('IPv6 is counted by /64, and IPv4 at a socket of both by its address', async t => {
  const server = await serverOn(t, '::')
  const connections = lookAt(t, {
    perAddress: 2,
    listeners: [{ host: '::', port: server.port, maxConnections: 0, trustedProxies: [] }],
  })
  await open(t, server, '::1', 3)
  await open(t, server, '127.0.0.2', 3)
  await open(t, server, '127.0.0.3', 2)
  const { ended, open: left } = connections.look()
  t.same(ended.map(({ family }) => family).sort(), [Family.ipv4, Family.ipv6])
  t.equal(left, 6)
})

t.test('the thread counts and ends, until it is stopped', async t => {
  const server = await serverOn(t, '127.0.0.1')
  const counters = createFrontendCounters()
  const running = await startConnectionLimits(limits(2, [server.port, 0]), counters, error =>
    t.fail(String(error)),
  )
  const sockets = await open(t, server, '127.0.0.2', 6)
  await untilClosed(sockets, 4)
  const counted = () =>
    readFrontend(counters, Protocol.http, Family.ipv4, FrontendCounter.overAddress)
  while (counted() < 4 || running.open !== 2) await sleep(5)
  t.equal(readFrontend(counters, Protocol.http, Family.ipv4, FrontendCounter.overListener), 0)
  await running.stop()
  t.equal(counted(), 4)
})

t.test('nothing is started, and nothing wanted, where nothing limits', async t => {
  const running = await startConnectionLimits(limits(0, [1, 0]), createFrontendCounters(), error =>
    t.fail(String(error)),
  )
  t.equal(running.open, undefined)
  await running.stop()
  t.equal(whyUnlimited(limits(0, [1, 0])), undefined)
  t.equal(whyUnlimited(limits(1, [1, 0])), undefined, 'it works here')
})
