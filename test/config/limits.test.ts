import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { loadConfig } from '../../src/config/load.ts'

function load(t: Test, text: string) {
  const file = join(t.testdir({}), 'config.toml')
  writeFileSync(file, text)
  return loadConfig({ file, environment: {} })
}

t.test('limits are on by default, and a profile chooses others', async t => {
  const limitsOf = (text: string) => load(t, text).config.limits
  const published = {
    announces_per_address: 3000,
    peers_per_address: 64,
    memory_per_address: 5,
  }
  t.match(limitsOf(''), { profile: 'public', completed_once_per_day: true, ...published })
  t.match(limitsOf('[limits]\nmax_torrents = 5'), { max_torrents: 5, ...published })
  t.match(limitsOf('[limits]\nprofile = "open"'), {
    announces_per_address: 0,
    peers_per_address: 0,
    memory_per_address: 0,
    completed_once_per_day: false,
  })
  t.match(limitsOf('[limits]\nprofile = "private"\npeers_per_address = 7'), {
    announces_per_address: 12_000,
    peers_per_address: 7,
    memory_per_address: 20,
  })
})

t.test('peers_per_address refuses leechers where the file sets it', async t => {
  const isServed = (text: string) => load(t, text).config.limits.serve_excess_leechers
  t.equal(isServed(''), true)
  t.equal(isServed('[limits]\nprofile = "public"'), true)
  t.equal(isServed('[limits]\npeers_per_address = 64'), false)
  t.equal(isServed('[limits]\npeers_per_address = 9\nserve_excess_leechers = true'), true)
  t.equal(isServed('[limits]\nserve_excess_leechers = false'), false)
  const environment = { LIMITS__PEERS_PER_ADDRESS: '9' }
  const file = join(t.testdir({ 'c.toml': '' }), 'c.toml')
  t.equal(loadConfig({ file, environment }).config.limits.serve_excess_leechers, false)
})

t.test('an unknown profile is an error that names the others', async t => {
  const wrong = () => load(t, '[limits]\nprofile = "closed"')
  t.throws(wrong, { message: /limits\.profile: must be one of "open", "public", "private"/ })
})

t.test('a public server without limits causes a warning, a local one does not', async t => {
  const server = (address: string) =>
    `[[http_server]]\nbind_address = "${address}:6969"\n[[udp_server]]\nbind_address = "${address}:6969"\n`
  const isWarned = (text: string) =>
    load(t, text).warnings.some(warning => warning.startsWith('limits.profile'))
  const open = '[limits]\nprofile = "open"\n'
  for (const address of ['0.0.0.0', '[::]', '203.0.113.1', '[2001:db8::1]']) {
    t.ok(isWarned(server(address) + open), address)
    t.notOk(isWarned(server(address)), `${address} with limits`)
  }
  for (const address of [
    '127.0.0.1',
    '10.1.2.3',
    '192.168.0.1',
    '172.20.0.1',
    '[::1]',
    '[fd00::1]',
  ]) {
    t.notOk(isWarned(server(address) + open), address)
  }
})
