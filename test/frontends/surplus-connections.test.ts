import t from 'tap'
import { type Connection, surplusConnections } from '../../src/frontends/surplus-connections.ts'
import { Family } from '../../src/protocol/records.ts'

function connection(fd: number, more: Partial<Connection> = {}): Connection {
  const common = { peer: `peer ${fd}`, family: Family.ipv4, listener: 0, firstSeen: 0 }
  return { fd, source: 'a', ...common, ...more }
}

function surplus(
  connections: readonly Connection[],
  perAddress: number,
  maxConnections: readonly number[],
): [number, string][] {
  return surplusConnections(connections, perAddress, maxConnections).map(
    ({ connection, limit }) => [connection.fd, limit],
  )
}

t.test('nothing goes that is within the limits, or where there are none', async t => {
  const many = Array.from({ length: 100 }, (_, n) => connection(n))
  t.same(surplus(many, 0, [0]), [])
  t.same(surplus(many, 100, [100]), [])
  t.same(surplus([], 1, [1]), [])
})

t.test('the newest of an address go, whatever their numbers', async t => {
  const connections = [
    connection(3, { firstSeen: 7 }),
    connection(4, { firstSeen: 9 }),
    connection(5, { firstSeen: 8 }),
    connection(6, { firstSeen: 9 }),
    connection(7, { firstSeen: 9, source: 'b' }),
  ]
  t.same(surplus(connections, 2, [0]), [
    [4, 'connections_per_address'],
    [6, 'connections_per_address'],
  ])
})

t.test('an address has one allowance at all listeners, and a listener one of its own', async t => {
  const connections = [
    connection(1, { listener: 0 }),
    connection(2, { listener: 1 }),
    connection(3, { listener: 1, source: 'b' }),
    connection(4, { listener: 0, source: 'b' }),
  ]
  t.same(surplus(connections, 1, [0, 0]), [
    [2, 'connections_per_address'],
    [4, 'connections_per_address'],
  ])
  t.same(surplus(connections, 0, [0, 1]), [[3, 'max_connections']])
})

t.test('one address over its limit takes nobody the place at the listener', async t => {
  const greedy = Array.from({ length: 10 }, (_, n) => connection(n))
  const others = [connection(20, { source: 'b' }), connection(21, { source: 'c' })]
  const gone = surplus([...greedy, ...others], 2, [3])
  t.same(gone.at(-1), [21, 'max_connections'])
  t.same(
    gone.slice(0, -1).map(([fd, limit]) => [fd, limit]),
    greedy.slice(2).map(({ fd }) => [fd, 'connections_per_address']),
  )
})

t.test('those of proxies count for the listener alone', async t => {
  const proxied = Array.from({ length: 5 }, (_, n) => connection(n, { source: undefined }))
  t.same(surplus(proxied, 1, [0]), [])
  t.same(surplus(proxied, 1, [4]), [[4, 'max_connections']])
})
