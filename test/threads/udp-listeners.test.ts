import t from 'tap'
import { loadConfig } from '../../src/config/load.ts'
import { udpListeners, warnOfMissingFamily } from '../../src/threads/udp-listeners.ts'
import { createTestLog } from '../app/fixtures/log-lines.ts'

const PATH_RULES = { keys: false, users: false }

t.test('a listener has the settings of its table', async t => {
  const { config } = loadConfig({ environment: {} })
  const listeners = udpListeners(config, PATH_RULES)
  t.match(listeners, [
    { host: '0.0.0.0', port: 6969, threads: 1, method: 'auto' },
    { host: '::', port: 6969 },
  ])
  t.same(listeners[0]?.rules.pathRules, PATH_RULES)
  const [first] = config.udp_server
  if (!first) throw new Error('no UDP server by default')
  const disabled = { ...config, udp_server: [{ ...first, enabled: false }] }
  t.same(udpListeners(disabled, PATH_RULES), [])
})

t.test('a family that HTTP serves and UDP does not causes a warning', async t => {
  const cases = [
    { http: ['0.0.0.0', '::'], udp: ['::'], warned: ['IPv4'] },
    { http: ['0.0.0.0', '::'], udp: ['192.0.2.1'], warned: ['IPv6'] },
    { http: ['::'], udp: ['::'], warned: ['IPv4'] },
    { http: ['0.0.0.0', '::'], udp: ['0.0.0.0', '::'], warned: [] },
    { http: ['127.0.0.1'], udp: ['127.0.0.1'], warned: [] },
    { http: ['0.0.0.0', '::'], udp: [], warned: [] },
    { http: [], udp: ['0.0.0.0'], warned: [] },
  ]
  for (const { http, udp, warned } of cases) {
    const { log, lines } = createTestLog()
    const hosts = (all: string[]) => all.map(host => ({ host }))
    warnOfMissingFamily(hosts(http), hosts(udp), log)
    t.match(
      lines,
      warned.map(family => ({ level: 40, server: 'udp', family })),
      `HTTP on ${http}, UDP on ${udp}`,
    )
    t.equal(lines.length, warned.length)
  }
})
