import { Ajv } from 'ajv'
import t from 'tap'
import { jsonSchema, SCHEMA } from '../../src/config/schema.ts'
import {
  nearestName,
  parseBindAddress,
  parseSize,
  validateConfig,
} from '../../src/config/validate.ts'

t.test('the schema of the configuration is a valid JSON schema', async t => {
  const ajv = new Ajv()
  t.ok(ajv.validateSchema(jsonSchema()), ajv.errorsText())
})

t.test(
  'sections that are not set have the same defaults as empty ones, which are valid',
  async t => {
    const names = new Set(Object.keys(SCHEMA).map(name => name.split('.')[0] ?? ''))
    const isList = (name: string) =>
      Object.entries(SCHEMA).some(([key, s]) => key === name && s.list)
    const empty = Object.fromEntries([...names].filter(name => !isList(name)).map(n => [n, {}]))
    t.same(validateConfig({}), validateConfig(empty))
    const { http_server, api_server, udp_server } = validateConfig({})
    const addresses = (servers: readonly object[]) =>
      servers.map(server => ({ bind_address: (server as { bind_address: string }).bind_address }))
    const servers = {
      http_server: addresses(http_server),
      api_server: addresses(api_server),
      udp_server: addresses(udp_server),
    }
    t.same(validateConfig(servers), validateConfig({}))
  },
)

t.test('an address to bind is a host and a port', async t => {
  t.same(parseBindAddress('0.0.0.0:6969'), { host: '0.0.0.0', port: 6969 })
  t.same(parseBindAddress('[::1]:0'), { host: '::1', port: 0 })
  for (const text of [
    '',
    ':80',
    '1.2.3:80',
    '::1:80',
    '[1.2.3.4]:80',
    '1.2.3.4:65536',
    '1.2.3.4',
    'host:80',
    '[::1]',
  ]) {
    t.equal(parseBindAddress(text), undefined, text)
  }
})

t.test('a size has a unit', async t => {
  t.equal(parseSize('3 GiB'), 3 * 2 ** 30)
  t.equal(parseSize('512MiB'), 512 * 2 ** 20)
  for (const text of ['3', '3 GB', '-1 GiB', 'GiB', '1.5 GiB'])
    t.ok(Number.isNaN(parseSize(text)), text)
})

t.test('the nearest name is near', async t => {
  t.equal(nearestName('Workerz', ['threads', 'workers']), 'workers')
  t.equal(nearestName('banana', ['threads', 'workers']), undefined)
})
