import t from 'tap'
import { readToken, TokenGuard } from '../../../src/frontends/api/token.ts'
import { startApi, TOKEN } from './fixtures/api-client.ts'

const HERE = Uint8Array.of(127, 0, 0, 1)

function ipv6(...last: number[]): Uint8Array {
  const address = new Uint8Array(16)
  address.set([0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 1])
  address.set(last, 16 - last.length)
  return address
}

t.test('reads the token from the header, as Bearer or bare, otherwise from the query', t => {
  for (const [authorization, query, token] of [
    ['Bearer abc', '', 'abc'],
    ['bearer  abc', 'token=other', 'abc'],
    ['abc', 'token=other', 'abc'],
    ['', 'token=abc', 'abc'],
    ['', 'x=1&token=a%20b&y=2', 'a b'],
    ['', 'token=a%2Bb', 'a+b'],
    ['Basic dXNlcjpw', 'token=abc', 'abc'],
    ['', 'TOKEN=abc', undefined],
    ['', '', undefined],
  ] as const) {
    t.equal(readToken(authorization, query), token, `${authorization} ?${query}`)
  }
  t.end()
})

t.test('more than ten invalid tokens of an address in a minute get 429', t => {
  let now = 100
  const guard = new TokenGuard('secret', () => now)
  const status = (token: string | undefined, address = HERE) =>
    guard.refuse(token, address)?.status ?? 200
  t.equal(status('secret'), 200)
  for (let n = 0; n < 20; n++) t.equal(status(undefined), 400, 'a missing token does not count')
  for (let n = 0; n < 10; n++) t.equal(status('guess'), 400)
  t.equal(status('guess'), 429)
  t.equal(status('secret'), 200, 'the valid token is always accepted')
  t.equal(status('guess', Uint8Array.of(127, 0, 0, 2)), 400, 'other addresses are not limited')
  now = 130.5
  t.same(guard.refuse('guess', HERE)?.headers, [['retry-after', '30']])
  now = 160
  for (let n = 0; n < 10; n++) t.equal(status('guess'), 400, 'a new window')
  t.equal(status('guess'), 429)
  t.end()
})

t.test('an IPv6 /64 counts as one address, and so do all unknown addresses', t => {
  const guard = new TokenGuard('secret', () => 0)
  for (let n = 0; n < 10; n++) guard.refuse('guess', ipv6(n, n))
  t.equal(guard.refuse('guess', ipv6(99))?.status, 429)
  const neighbour = ipv6(1)
  neighbour[7] = 2
  t.equal(guard.refuse('guess', neighbour)?.status, 400)
  for (let n = 0; n < 10; n++) guard.refuse('guess', undefined)
  t.equal(guard.refuse('guess', undefined)?.status, 429)
  t.end()
})

t.test('when the table of addresses is full, the oldest is evicted', t => {
  const guard = new TokenGuard('secret', () => 0)
  const address = (n: number) => Uint8Array.of(10, n >> 16, n >> 8, n)
  for (let n = 0; n < 10; n++) guard.refuse('guess', address(0))
  for (let n = 1; n < 10_000; n++) guard.refuse('guess', address(n))
  t.equal(guard.refuse('guess', address(0))?.status, 429)
  guard.refuse('guess', address(10_000))
  t.equal(guard.refuse('guess', address(0))?.status, 400)
  t.end()
})

t.test('an empty token is refused', t => {
  t.throws(() => new TokenGuard('', () => 0), /empty/)
  const guard = new TokenGuard('secret', () => 0)
  t.match(guard.refuse('', HERE)?.body, /missing token/)
  t.end()
})

t.test('accepts the token in the header and in the query', async t => {
  const { ask } = await startApi(t)
  const path = `/stats?token=${encodeURIComponent(TOKEN)}`
  t.equal((await ask({ method: 'GET', path, token: '' })).status, 200)
  const headers = { authorization: 'bare' }
  const bare = await ask({ method: 'GET', path, token: '', headers })
  t.same([bare.status, bare.json], [400, { status: 'invalid token' }], 'the header comes first')
})

t.test('behind a trusted proxy, each client is counted by its own address', async t => {
  const { ask } = await startApi(t, { trustedProxies: ['127.0.0.1'] })
  const from = (ip: string, token: string) =>
    ask({ method: 'GET', path: '/stats', token, headers: { 'x-real-ip': ip } })
  for (let n = 0; n < 10; n++) await from('5.6.7.8', 'guess')
  const blocked = await from('5.6.7.8', 'guess')
  t.same([blocked.status, blocked.json], [429, { status: 'too many invalid tokens' }])
  t.ok(Number(blocked.headers['retry-after']) <= 60)
  t.equal((await from('5.6.7.9', 'guess')).status, 400, 'another client of the proxy')
  t.equal((await from('5.6.7.8', TOKEN)).status, 200, 'the valid token is always accepted')
})
