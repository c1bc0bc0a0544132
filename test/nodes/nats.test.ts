import { join } from 'node:path'
import t, { type Test } from 'tap'
import { connectNats, type NatsOptions } from '../../src/nodes/nats.ts'
import { tlsKeys, writePair } from '../fixtures/certificates.ts'
import { temporaryFolder } from '../fixtures/start-tracker.ts'
import { startNatsServers, withoutNats } from './fixtures/nats-server.ts'
import { until } from './fixtures/node.ts'

/** A bus, with the events that it reported. */
function busOf(t: Test, options: Partial<NatsOptions>) {
  const events: string[] = []
  const defaults = { name: 'test', user: '', password: '', tlsCa: '', tlsCert: '', tlsKey: '' }
  const bus = connectNats(
    { ...defaults, servers: [], ...options },
    {
      up: () => events.push('up'),
      down: reason => events.push(`down: ${reason}`),
      trouble: reason => events.push(`trouble: ${reason}`),
    },
  )
  t.teardown(() => bus.close())
  return { bus, events }
}

t.test(
  'messages and requests reach others, also after a server died',
  { skip: withoutNats },
  async t => {
    const [server] = await startNatsServers(t, 1, ['--user', 'muster', '--pass', 'secret'])
    const options = { servers: [server?.url ?? ''], user: 'muster', password: 'secret' }
    const a = busOf(t, options)
    const b = busOf(t, options)
    const received: string[] = []
    a.bus.subscribe('test.*', (_, data) => received.push(`a ${data.toString()}`))
    b.bus.subscribe('test.*', (subject, data) => received.push(`${subject} ${data.toString()}`))
    b.bus.respond('ask', data => Buffer.from(`answer to ${data.toString()}`))
    await until(() => a.bus.isUp && b.bus.isUp, 'both are connected')
    const ask = async () => {
      const answer = await a.bus.request('ask', Buffer.from('this'), 1000).catch(() => undefined)
      return answer?.toString() === 'answer to this'
    }
    await until(ask, 'a request is answered')
    t.ok(a.bus.publish('test.x', Buffer.from('one')))
    await until(() => received.length > 0, 'the message is there')
    t.strictSame(received, ['test.x one'], 'the sender itself does not get it')

    await server?.signal('SIGKILL')
    await until(() => !a.bus.isUp && !b.bus.isUp, 'both notice')
    t.notOk(a.bus.publish('test.x', Buffer.from('lost')), 'nothing is sent meanwhile')
    await server?.start()
    await until(() => a.bus.isUp && b.bus.isUp, 'both are connected again')
    await until(ask, 'subscriptions are back')
    t.strictSame(
      a.events.map(event => event.split(':')[0]),
      ['up', 'down', 'up'],
    )
  },
)

t.test('a wrong password is reported once, and tried again', { skip: withoutNats }, async t => {
  const [server] = await startNatsServers(t, 1, ['--user', 'muster', '--pass', 'secret'])
  const { bus, events } = busOf(t, { servers: [server?.url ?? ''], user: 'muster', password: 'no' })
  await until(() => events.length > 0, 'it is reported')
  t.match(events[0], /^down: .*[Aa]uthorization/)
  t.notOk(bus.isUp)
})

t.test('TLS checks the certificate of the server', { skip: withoutNats }, async t => {
  const folder = temporaryFolder(t)
  await writePair(folder)
  const { ssl_cert, ssl_key } = tlsKeys(folder)
  const more = ['--tls', '--tlscert', ssl_cert, '--tlskey', ssl_key]
  const [server] = await startNatsServers(t, 1, more)
  const servers = [`tls://localhost:${server?.port}`]
  const trusting = busOf(t, { servers, tlsCa: join(folder, 'cert.pem') })
  const { bus, events } = busOf(t, { servers })
  await until(() => trusting.bus.isUp, 'with the authority it connects')
  await until(() => events.length > 0, 'without it the reason is reported')
  t.match(events[0], /^down: /)
  t.notOk(bus.isUp)
})
