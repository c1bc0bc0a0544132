import t from 'tap'
import { validateConfig } from '../../src/config/validate.ts'

const nodes = {
  servers: ['nats://10.0.0.1:4222', 'tls://nats.example:4222'],
  name: 'a',
  secret: 'a secret of more than thirty-two characters',
}
const persistent = {
  engine: 'pgsql',
  path: 'postgres://muster@127.0.0.1/muster',
  persistent: true,
}

function faultsOf(config: object): string {
  try {
    validateConfig(config as Record<string, unknown>)
    return ''
  } catch (error) {
    return (error as Error).message
  }
}

t.test('nodes need a shared secret, servers with an address, and a name without dots', async t => {
  t.equal(faultsOf({ nodes }), '')
  t.match(faultsOf({ nodes: { ...nodes, secret: 'short' } }), /^nodes\.secret: must have .* 32/)
  for (const server of ['10.0.0.1:4222', 'http://10.0.0.1', 'nats://a:b@10.0.0.1', 'nats://']) {
    t.match(faultsOf({ nodes: { ...nodes, servers: [server] } }), /^nodes\.servers/, server)
  }
  t.match(faultsOf({ nodes: { ...nodes, name: 'a.b' } }), /^nodes\.name/)
  t.match(faultsOf({ nodes: { ...nodes, tls_cert: 'a.pem' } }), /^nodes\.tls_key/)
  t.equal(faultsOf({ nodes: { secret: 'short' } }), '', 'without servers nothing is checked')
})

t.test(
  'lists, keys and users of several nodes must be in a database that all of them use',
  async t => {
    for (const list of ['whitelist', 'blacklist', 'keys', 'users']) {
      const key = `${list}_enabled`
      const tracker_config = { [key]: true }
      const fault = new RegExp(`^tracker_config\\.${key}: must be false with nodes\\.servers`)
      t.match(faultsOf({ nodes, tracker_config }), fault, `${key} with SQLite`)
      t.equal(
        faultsOf({ nodes, tracker_config, database: persistent }),
        '',
        `${key} with PostgreSQL`,
      )
      t.match(
        faultsOf({ nodes, tracker_config, database: { ...persistent, persistent: false } }),
        fault,
        `${key} without a database`,
      )
    }
  },
)
