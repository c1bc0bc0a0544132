import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { createClockOffset } from '../../src/clock.ts'
import { createTables, openEngine } from '../../src/engine/engine.ts'
import { totals } from '../../src/engine/totals.ts'
import { openLibc } from '../../src/native/libc.ts'
import { STANDARD_ANSWERS } from '../../src/protocol/failures.ts'
import { claimListeners } from '../../src/serving/port-claims.ts'
import { claimUdp, type UdpListener } from '../../src/threads/udp-listeners.ts'
import { startUdpThreads } from '../../src/threads/udp-threads.ts'
import { createTestLog } from '../app/fixtures/log-lines.ts'
import { openUdpClient } from '../e2e/fixtures/udp-client.ts'
import { setEnvironment } from '../fixtures/environment.ts'
import { configFile, LOOPBACK, launch, startTracker } from '../fixtures/start-tracker.ts'
import { clientOf, SETTINGS } from '../fixtures/tracker-client.ts'

const FORBID_RECVMMSG = fileURLToPath(
  new URL('../app/fixtures/forbid-recvmmsg.js', import.meta.url),
)
const CLIENTS = 64

async function takenPort(t: Test): Promise<number> {
  const socket = createSocket('udp4')
  t.teardown(() => socket.close())
  socket.bind(0, '127.0.0.1')
  await once(socket, 'listening')
  return socket.address().port
}

function listener(method: UdpListener['method'], port: number, threads = 1): UdpListener {
  const announce = { numwantDefault: 50, numwantMaximum: 72, usePayloadIp: false }
  const rules = {
    announce,
    pathRules: { keys: false, users: false },
    trustedProxies: [],
    failures: STANDARD_ANSWERS,
  }
  const buffers = { receiveBufferBytes: 0, sendBufferBytes: 0 }
  return { host: '127.0.0.1', port, threads, method, rules, ...buffers }
}

/** Start options of UDP threads, as the primary passes them. */
function options(listeners: readonly UdpListener[]) {
  const test = createTestLog()
  const deaths: { name: string; error: unknown }[] = []
  let told = (): void => {}
  const death = new Promise<void>(resolve => {
    told = resolve
  })
  return {
    ...test,
    deaths,
    death,
    listeners,
    tables: createTables(64 * 2 ** 20),
    settings: SETTINGS,
    clockOffset: createClockOffset(),
    died: (name: string, error: unknown) => {
      deaths.push({ name, error })
      told()
    },
  }
}

/** Returns `wanted` with ports that were free a moment ago. */
async function free(wanted: UdpListener): Promise<readonly UdpListener[]> {
  const { listeners, release } = await claimListeners([wanted], createTestLog().log, claimUdp)
  release()
  return listeners
}

for (const method of ['recvmmsg', 'dgram'] as const) {
  t.test(
    `${method}: a port in use is named, and the threads that were started are stopped`,
    async t => {
      const taken = await takenPort(t)
      const first = await free(listener(method, 0, 2))
      const start = options([...first, listener(method, taken)])
      await t.rejects(startUdpThreads(start), {
        name: 'OperatorError',
        exitStatus: 69,
        message: new RegExp(
          `^cannot listen on 127\\.0\\.0\\.1 port ${taken} for UDP: .*EADDRINUSE`,
        ),
      })
      t.same(await free(first[0] as UdpListener), first, 'the other address is free again')
      t.same(start.deaths, [], 'and no thread is said to have died')
    },
  )

  t.test(`${method}: the tracker names a taken UDP port and exits with status 69`, async t => {
    const port = await takenPort(t)
    const udp_server = [{ bind_address: `127.0.0.1:${port}`, receive_method: method }]
    const file = configFile(t, { ...LOOPBACK, udp_server, frontend: { workers: 0 } })
    const tracker = launch(t, ['--config', file])
    t.equal(await tracker.ended, 69)
    t.match(
      tracker.stderr(),
      `cannot listen on 127.0.0.1 port ${port}: the port is in use by another program`,
    )
  })
}

t.test('two threads on one address share its clients', async t => {
  const listeners = await free(listener('recvmmsg', 0, 2))
  const start = options(listeners)
  const threads = await startUdpThreads(start)
  t.teardown(threads.stop)
  const { port } = listeners[0] as UdpListener
  const local = `:${port.toString(16).toUpperCase().padStart(4, '0')} `
  const bound = readFileSync('/proc/net/udp', 'utf8').split('\n')
  t.equal(bound.filter(line => line.includes(local)).length, 2, 'each has a socket')
  // The kernel chooses the socket by the client's port: if one thread did not receive, half of the
  // clients would get no answer.
  const clients = await Promise.all(
    Array.from({ length: CLIENTS }, () => openUdpClient(t, '127.0.0.1', port)),
  )
  const answers = await Promise.all(
    clients.map((client, n) => client.announce({ peerId: clientOf(n).peerId, port: 1024 + n })),
  )
  t.equal(Math.max(...answers.map(({ leechers }) => leechers)), CLIENTS)
  t.equal(
    clients.reduce((sum, { repeats }) => sum + repeats, 0),
    0,
    'each was answered at once',
  )
  t.same(totals(openEngine(start.tables, SETTINGS)).peers, [CLIENTS, 0, 0])
  await threads.stop()
  t.same(start.deaths, [])
})

t.test('a thread continues to count its rounds when its rules change', async t => {
  const listeners = await free(listener('recvmmsg', 0, 1))
  const start = options(listeners)
  const threads = await startUdpThreads(start)
  t.teardown(threads.stop)
  const [watched] = threads.watched
  for (let n = 0; n < 5; n++) {
    const before = watched?.rounds() ?? 0
    await threads.setRules(listeners, { settings: SETTINGS, access: start.tables.access.rules })
    while ((watched?.rounds() ?? 0) <= before) await sleep(10)
    t.pass(`round ${watched?.rounds()} follows ${before}`)
  }
})

for (const method of ['recvmmsg', 'recvmsg', 'dgram'] as const) {
  t.test(`${method}: rules that change one after another interrupt no client`, async t => {
    const listeners = await free(listener(method, 0))
    const [first] = listeners as [UdpListener]
    const start = options(listeners)
    const threads = await startUdpThreads(start)
    t.teardown(threads.stop)
    const client = await openUdpClient(t, '127.0.0.1', first.port)
    const settings = { ...SETTINGS, intervalJitterPercent: 0 }
    for (let interval = 1001; interval <= 1020; interval++) {
      const announce = { ...first.rules.announce, numwantDefault: interval }
      // Not awaited: the next rules are sent before the thread has read these.
      void threads.setRules([{ ...first, rules: { ...first.rules, announce } }], {
        settings: { ...settings, interval: 1 },
        access: start.tables.access.rules,
      })
      await threads.setRules([{ ...first, rules: { ...first.rules, announce } }], {
        settings: { ...settings, interval },
        access: start.tables.access.rules,
      })
      t.match(await client.announce({ port: 1024 }), { interval }, 'the last rules are in effect')
    }
    t.equal(client.repeats, 0, 'each request was answered at once')
    await threads.stop()
    t.same(start.deaths, [])
  })
}

t.test('a wildcard address is served by recvmsg where the method is dgram', async t => {
  const listeners = await free({ ...listener('dgram', 0), host: '0.0.0.0' })
  const start = options(listeners)
  const threads = await startUdpThreads(start)
  t.teardown(threads.stop)
  t.match(start.lines, [{ msg: 'listening', method: 'recvmsg' }])
})

t.test('threads have their names in /proc', async t => {
  const listeners = await free(listener('recvmmsg', 0))
  const threads = await startUdpThreads(options(listeners))
  t.teardown(threads.stop)
  const names = readdirSync('/proc/self/task').map(id =>
    readFileSync(`/proc/self/task/${id}/comm`, 'utf8').trim(),
  )
  t.ok(names.includes('udp-0'), names.join())
})

t.test('a thread that dies is reported, with the reason', async t => {
  const listeners = await free(listener('recvmmsg', 0))
  const start = options(listeners)
  // Not stopped: that would close the socket a second time, or another file with its number.
  await startUdpThreads(start)
  const { port } = listeners[0] as UdpListener
  const libc = openLibc()
  const address = Buffer.alloc(16)
  const sockets = readdirSync('/proc/self/fd')
    .map(Number)
    .filter(
      fd =>
        // The name of a Unix socket is too short to overwrite that of the previous socket.
        address.fill(0) &&
        libc.getsockname(fd, address, Buffer.of(16, 0, 0, 0)) === 0 &&
        address.readUInt16BE(2) === port,
    )
  t.equal(sockets.length, 1)
  for (const fd of sockets) t.equal(libc.close(fd), 0)
  await start.death
  t.match(start.deaths, [{ name: 'udp-0', error: { message: /^recvmmsg E(BADF|NOTSOCK)$/ } }])
  t.equal(start.deaths.length, 1)
})

for (const [why, nodeOptions, reason, http_server, method] of [
  // Without native code there is no HTTP either.
  ['Node loads no native code', '--no-addons', /addons is disabled/, [], 'dgram'],
  [
    'the kernel refuses the call',
    `--import=${FORBID_RECVMMSG}`,
    /^recvmmsg is not available: EPERM$/,
    LOOPBACK.http_server,
    'recvmsg',
  ],
] as const) {
  // SQLite needs native code, too.
  const kept = { frontend: { workers: 0 }, database: { persistent: false } }

  t.test(`where ${why}, auto is ${method}, and one warning has the reason`, async t => {
    setEnvironment(t, 'NODE_OPTIONS', `${process.env['NODE_OPTIONS'] ?? ''} ${nodeOptions}`)
    const tracker = await startTracker(t, { http_server, ...kept })
    const warnings = tracker.warnings()
    t.match(warnings, [{ msg: /^recvmmsg is not available/, reason, method }])
    t.equal(warnings.length, 1)
    for (const host of ['127.0.0.1', '::1']) {
      const listening = tracker.log.find(
        ({ address, server }) => address === host && server === 'udp',
      )
      t.match(listening, { method, threads: 1 })
      const client = await openUdpClient(t, host, tracker.port('udp', host))
      t.match(await client.announce({ port: 1024 }), { leechers: host === '::1' ? 2 : 1 })
    }
    t.equal(await tracker.stop(), 0)
  })

  t.test(`where ${why}, receive_method = "recvmmsg" is an error`, async t => {
    setEnvironment(t, 'NODE_OPTIONS', `${process.env['NODE_OPTIONS'] ?? ''} ${nodeOptions}`)
    const udp_server = [{ bind_address: '127.0.0.1:0', receive_method: 'recvmmsg' }]
    const tracker = launch(t, [
      '--config',
      configFile(t, { http_server, udp_server, api_server: [], ...kept }),
    ])
    t.equal(await tracker.ended, 69)
    t.match(tracker.stderr(), /^udp_server.receive_method: recvmmsg is not available: .+$/m)
    t.notOk(tracker.log.some(({ server }) => server === 'udp'))
  })
}
