import t from 'tap'
import { NO_LIMITS } from '../../src/engine/policy.ts'
import { parseAddress } from '../../src/protocol/ip.ts'
import { Flag } from '../../src/protocol/records.ts'
import { announceTo, clientOf, hashOf, newEngine, SETTINGS } from '../fixtures/tracker-client.ts'

const infoHash = hashOf(1)

function at(text: string, port = 6881, n = 0) {
  const address = parseAddress(text)
  if (!address) throw new Error(text)
  const { peerId } = clientOf(n)
  return { infoHash, address: Buffer.from(address), peerId, port }
}

const hex = (text: string, port = 6881) =>
  `${Buffer.from(at(text).address).toString('hex')}${port.toString(16).padStart(4, '0')}`

t.test('a client is never given its own endpoint, nor an endpoint twice', async t => {
  for (const [own, family] of [
    ['198.51.100.1', 'ipv4'],
    ['2001:db8::1', 'ipv6'],
  ] as const) {
    const other = family === 'ipv4' ? '198.51.100.2' : '2001:db8::2'
    const engine = newEngine()
    announceTo(engine, { ...at(own, 6881, 1), left: 5 })
    t.same(announceTo(engine, { ...at(own, 6881, 2), left: 5 })[family], [])
    t.same(announceTo(engine, { ...at(own, 6882, 3), left: 5 })[family], [hex(own)])
    t.same(announceTo(engine, { ...at(other, 6881, 4), left: 5 })[family].sort(), [
      hex(own),
      hex(own, 6882),
    ])
    // A seeder of the same endpoint is hidden, too, until the first peer is gone.
    announceTo(engine, { ...at(own, 6881, 1), event: 3 })
    announceTo(engine, { ...at(own, 6881, 2), left: 0 })
    t.same(announceTo(engine, { ...at(other, 6881, 4), left: 5 })[family].sort(), [
      hex(own),
      hex(own, 6882),
    ])
  }
})

t.test('peers with port 0 or 1 are counted but not handed out', async t => {
  const engine = newEngine()
  for (const port of [0, 1]) {
    const reply = announceTo(engine, { ...at(`198.51.100.${port + 1}`, port, port), left: 0 })
    t.match(reply, { failure: 0, seeders: port + 1 })
  }
  t.same(announceTo(engine, { ...at('198.51.100.9', 6881, 9), left: 5 }).ipv4, [])
  announceTo(engine, { ...at('198.51.100.1', 7000, 0), left: 0 })
  const { ipv4 } = announceTo(engine, { ...at('198.51.100.9', 6881, 9), left: 5 })
  t.same(ipv4, [hex('198.51.100.1', 7000)], 'a port that is stated later counts')
})

t.test('a local address is handed out to clients of the same kind of network only', async t => {
  const kinds = {
    global: ['198.51.100.1', '2001:db8::1'],
    private: ['10.0.0.1', '172.16.0.1', '192.168.1.1', '100.64.0.1', 'fd00::1'],
    loopback: ['127.0.0.1', '::1'],
    linkLocal: ['169.254.0.1', 'fe80::1'],
    none: ['0.1.2.3', '224.0.0.1', '239.1.2.3', '240.0.0.1', '255.255.255.255', 'ff02::1'],
  }
  const reach = {
    global: ['global'],
    private: ['global', 'private'],
    loopback: ['global', 'private', 'loopback'],
    linkLocal: ['global', 'linkLocal'],
  }
  const recipient = {
    ipv4: {
      global: '198.51.100.9',
      private: '10.9.9.9',
      loopback: '127.0.0.9',
      linkLocal: '169.254.9.9',
    },
    ipv6: { global: '2001:db8::9', private: 'fd00::9', loopback: '::1', linkLocal: 'fe80::9' },
  }
  for (const family of ['ipv4', 'ipv6'] as const) {
    const isOf = (text: string) => text.includes(':') === (family === 'ipv6')
    const engine = newEngine()
    const all = Object.values(kinds).flat().filter(isOf)
    for (const [n, text] of all.entries()) announceTo(engine, { ...at(text, 6881, n), left: 0 })
    for (const [kind, from] of Object.entries(recipient[family])) {
      const wanted = reach[kind as 'global']
        .flatMap(name => kinds[name as 'global'])
        .filter(isOf)
        .map(text => hex(text))
      const reply = announceTo(engine, { ...at(from, 7000, 99), left: 5 })
      announceTo(engine, { ...at(from, 7000, 99), event: 3 })
      t.same(reply[family].sort(), wanted.sort(), `${family} ${kind}`)
    }
  }
})

t.test('unusable peers do not shorten an answer while there are others', async t => {
  const engine = newEngine()
  for (let n = 0; n < 40; n++) {
    const address = n % 2 ? `198.51.100.${n + 1}` : `192.168.0.${n + 1}`
    announceTo(engine, { ...at(address, 6881, n), left: 0 })
  }
  for (let n = 0; n < 20; n++) {
    const reply = announceTo(engine, { ...at('203.0.113.1', 1, 99), left: 5, numwant: 15 })
    t.equal(new Set(reply.ipv4).size, 15)
  }
})

t.test('the peer ids of an answer are in the order of its peers, IPv4 first', async t => {
  const engine = newEngine()
  const flags = Flag.dictionary | Flag.peerIds | Flag.bothFamilies
  const peers = [
    '198.51.100.1',
    '10.0.0.1',
    '198.51.100.2',
    '2001:db8::1',
    'fd00::1',
    '2001:db8::2',
  ]
  for (const [n, text] of peers.entries()) announceTo(engine, { ...at(text, 6881, n), left: 0 })
  for (const from of ['203.0.113.7', '2001:db8::7']) {
    const reply = announceTo(engine, { ...at(from, 6881, 50), left: 5, flags })
    const told = [...reply.ipv4, ...reply.ipv6]
    t.equal(told.length, 4, from)
    const idOf = (endpoint: string) => {
      const n = peers.findIndex(text => hex(text) === endpoint)
      return clientOf(n).peerId.toString('hex')
    }
    t.same(reply.peerIds, told.map(idOf), from)
    announceTo(engine, { ...at(from, 6881, 50), event: 3 })
  }
})

t.test('with limits, an answer has few peers of one address', async t => {
  const limits = { ...NO_LIMITS, peersPerAddress: 32 }
  const engine = newEngine(undefined, { ...SETTINGS, limits })
  for (let n = 0; n < 20; n++)
    announceTo(engine, { ...at(`198.51.100.${n + 1}`, 6881, n), left: 0 })
  for (let n = 0; n < 32; n++)
    announceTo(engine, { ...at('192.0.2.1', 7000 + n, 100 + n), left: 0 })
  const reply = announceTo(engine, { ...at('203.0.113.1', 6881, 999), left: 5, numwant: 72 })
  const made = reply.ipv4.filter(peer => peer.startsWith('c0000201'))
  t.equal(made.length, 4)
  t.equal(reply.ipv4.length, 24)
  t.equal(reply.seeders, 52, 'all of them count')
})
