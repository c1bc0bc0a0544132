import { join } from 'node:path'
import t from 'tap'
import { connectServiceManager, takeNotifySettings } from '../../src/native/sd-notify.ts'
import { testFolder } from '../app/fixtures/engine-start.ts'
import { createTestLog } from '../app/fixtures/log-lines.ts'
import { openNotifySocket } from '../app/fixtures/notify-socket.ts'

t.test('the variables are removed from the environment', async t => {
  const take = (variables: Record<string, string>) => {
    const environment: Record<string, string | undefined> = { HOME: '/', ...variables }
    const settings = takeNotifySettings(environment)
    t.same(environment, { HOME: '/' })
    return settings
  }
  const socket = '/run/systemd/notify'
  const NOTIFY_SOCKET = socket
  const WATCHDOG_USEC = '30000000'
  t.equal(take({}), undefined)
  t.equal(take({ WATCHDOG_USEC }), undefined)
  t.same(take({ NOTIFY_SOCKET }), { socket, watchdogMillis: undefined })
  t.same(take({ NOTIFY_SOCKET, WATCHDOG_USEC }), { socket, watchdogMillis: 30_000 })
  const WATCHDOG_PID = String(process.pid)
  t.same(take({ NOTIFY_SOCKET, WATCHDOG_USEC, WATCHDOG_PID }), { socket, watchdogMillis: 30_000 })
  t.same(
    take({ NOTIFY_SOCKET, WATCHDOG_USEC, WATCHDOG_PID: '1' }),
    { socket, watchdogMillis: undefined },
    'another process is watched',
  )
  t.same(take({ NOTIFY_SOCKET, WATCHDOG_USEC: '?' }), { socket, watchdogMillis: undefined })
})

for (const kind of ['a path', 'an abstract name'] as const) {
  t.test(`all states arrive at ${kind}`, async t => {
    const name = kind === 'a path' ? join(testFolder(t), 'notify') : `@muster-test-${process.pid}`
    const received = openNotifySocket(t, name)
    const { log, lines } = createTestLog()
    const manager = connectServiceManager({ socket: name, watchdogMillis: 100 }, log)
    t.equal(manager.watchdogMillis, 100)
    const before = process.hrtime.bigint() / 1000n
    manager.ready('serves')
    manager.alive()
    manager.status('serves 2 torrents, größer')
    manager.reloading()
    manager.ready('serves again')
    manager.stopping()
    await received.line(line => line === 'STOPPING=1')
    const [time] = received.lines.filter(line => line.startsWith('MONOTONIC_USEC='))
    const micros = BigInt(String(time).slice('MONOTONIC_USEC='.length))
    t.ok(micros >= before && micros <= process.hrtime.bigint() / 1000n)
    t.same(
      received.lines.filter(line => line !== time),
      [
        'READY=1',
        'STATUS=serves',
        'WATCHDOG=1',
        'STATUS=serves 2 torrents, größer',
        'RELOADING=1',
        'READY=1',
        'STATUS=serves again',
        'STOPPING=1',
      ],
    )
    t.same(lines, [])
  })
}

t.test('a state that does not fit into the buffer arrives with the next message', async t => {
  const name = join(testFolder(t), 'notify')
  const received = openNotifySocket(t, name)
  const { log, lines } = createTestLog()
  const manager = connectServiceManager({ socket: name, watchdogMillis: 100 }, log)
  received.reading = false
  // The kernel keeps net.unix.max_dgram_qlen messages, 10 or some hundred.
  for (let n = 0; n < 5000; n++) manager.alive()
  manager.ready('serves')
  received.reading = true
  await received.line(line => line === 'WATCHDOG=1')
  t.notOk(received.lines.includes('READY=1'))
  manager.alive()
  await received.line(line => line === 'READY=1')
  t.same(received.lines.slice(-3), ['READY=1', 'STATUS=serves', 'WATCHDOG=1'])
  t.ok(received.lines.length < 5000, 'of signs of life none is kept')
  t.same(lines, [])
})

t.test('an impossible socket is reported once, and nothing fails', async t => {
  for (const socket of ['vsock:2:1234', `/${'x'.repeat(108)}`, '@']) {
    const { log, lines } = createTestLog()
    const manager = connectServiceManager({ socket, watchdogMillis: 100 }, log)
    t.equal(manager.watchdogMillis, undefined)
    manager.ready('serves')
    manager.stopping()
    t.match(lines, [
      { level: 50, msg: /^cannot report the state of the service to systemd: use Type=exec/ },
    ])
    t.equal(lines.length, 1)
  }
})

t.test('a socket without a listener is logged', async t => {
  const { log, lines } = createTestLog()
  const socket = join(testFolder(t), 'nobody')
  connectServiceManager({ socket, watchdogMillis: undefined }, log).ready('serves')
  t.match(lines, [{ level: 50, msg: 'systemd does not accept messages', code: 'ENOENT' }])
})

t.test('without systemd nothing is sent', async t => {
  const { log, lines } = createTestLog()
  const manager = connectServiceManager(undefined, log)
  t.equal(manager.watchdogMillis, undefined)
  manager.ready('serves')
  manager.alive()
  manager.stopping()
  t.same(lines, [])
})
