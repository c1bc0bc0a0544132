import t from 'tap'
import { createTokenGuard, readToken } from '../../../src/frontends/api/token.ts'
import { startApi, TOKEN } from './fixtures/api-client.ts'

const HERE = Uint8Array.of(127, 0, 0, 1)

function ipv6(...last: number[]): Uint8Array {
  const address = new Uint8Array(16)
  address.set([0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 1])
  address.set(last, 16 - last.length)
  return address
}

t.test('a token comes in the header, as Bearer or bare, or else in the query', t => {
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

t.test('ten invalid tokens in a minute, and an address has to wait', t => {
  let now = 100
  const guard = createTokenGuard('secret', () => now)
  const status = (token: string | undefined, address = HERE) =>
    guard.refuse(token, address)?.status ?? 200
  t.equal(status('secret'), 200)
  for (let n = 0; n < 20; n++) t.equal(status(undefined), 400, 'a missing one does not count')
  for (let n = 0; n < 10; n++) t.equal(status('guess'), 400)
  t.equal(status('guess'), 429)
  t.equal(status('secret'), 429, 'the right one too, or guessing would go on')
  t.equal(status('secret', Uint8Array.of(127, 0, 0, 2)), 200, 'others are not kept waiting')
  now = 130.5
  t.same(guard.refuse('secret', HERE)?.headers, [['retry-after', '30']])
  now = 160
  t.equal(status('secret'), 200)
  for (let n = 0; n < 10; n++) t.equal(status('guess'), 400, 'a new window')
  t.equal(status('guess'), 429)
  t.end()
})

t.test('a network of IPv6 counts as one, and so does everybody who is unknown', t => {
  const guard = createTokenGuard('secret', () => 0)
  for (let n = 0; n < 10; n++) guard.refuse('guess', ipv6(n, n))
  t.equal(guard.refuse('secret', ipv6(99))?.status, 429)
  const neighbour = ipv6(1)
  neighbour[7] = 2
  t.equal(guard.refuse('secret', neighbour), undefined)
  for (let n = 0; n < 10; n++) guard.refuse('guess', undefined)
  t.equal(guard.refuse('secret', undefined)?.status, 429)
  t.end()
})

t.test('of more addresses than can be counted the oldest is forgotten', t => {
  const guard = createTokenGuard('secret', () => 0)
  const address = (n: number) => Uint8Array.of(10, n >> 16, n >> 8, n)
  for (let n = 0; n < 10; n++) guard.refuse('guess', address(0))
  for (let n = 1; n < 10_000; n++) guard.refuse('guess', address(n))
  t.equal(guard.refuse('secret', address(0))?.status, 429)
  guard.refuse('guess', address(10_000))
  t.equal(guard.refuse('secret', address(0)), undefined)
  t.end()
})

t.test('an empty token is none', t => {
  t.throws(() => createTokenGuard('', () => 0), /empty/)
  const guard = createTokenGuard('secret', () => 0)
  t.match(guard.refuse('', HERE)?.body, /missing token/)
  t.end()
})

t.test('the token is taken from wherever it may be', async t => {
  const { ask } = await startApi(t)
  const path = `/stats?token=${encodeURIComponent(TOKEN)}`
  t.equal((await ask({ method: 'GET', path, token: '' })).status, 200)
  const headers = { authorization: 'bare' }
  const bare = await ask({ method: 'GET', path, token: '', headers })
  t.same([bare.status, bare.json], [400, { status: 'invalid token' }], 'the header comes first')
})

t.test('behind a trusted proxy it is the client that has to wait', async t => {
  const { ask } = await startApi(t, { trustedProxies: ['127.0.0.1'] })
  const from = (ip: string, token: string) =>
    ask({ method: 'GET', path: '/stats', token, headers: { 'x-real-ip': ip } })
  for (let n = 0; n < 10; n++) await from('5.6.7.8', 'guess')
  const blocked = await from('5.6.7.8', TOKEN)
  t.same([blocked.status, blocked.json], [429, { status: 'too many invalid tokens' }])
  t.ok(Number(blocked.headers['retry-after']) <= 60)
  t.equal((await from('5.6.7.9', TOKEN)).status, 200)
})
