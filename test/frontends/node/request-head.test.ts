import { createServer } from 'node:http'
import { Duplex } from 'node:stream'
import t from 'tap'
import { createRandom, randomBelow } from '../../../src/engine/tables/random.ts'
import { readRequestHead } from '../../../src/frontends/node/request-head.ts'

const read = (head: string) => readRequestHead(`${head}\r\n`)

t.test('the head of an announce is read', async t => {
  const head = read('GET /announce?info_hash=%01\xff HTTP/1.1\r\nHost: a:1\r\nUser-Agent:\t x y \t')
  t.match(head, {
    method: 'get',
    target: '/announce?info_hash=%01\xff',
    headers: ['Host', 'a:1', 'User-Agent', 'x y'],
    isOld: false,
    keepsAlive: true,
  })
  t.match(read('HEAD / HTTP/1.0'), { method: 'head', isOld: true, keepsAlive: false, headers: [] })
  t.match(read('GET / HTTP/1.0\r\nconnection: Keep-Alive'), { keepsAlive: true })
  t.match(read('GET / HTTP/1.1\r\nhost: a\r\nConnection: Close'), { keepsAlive: false })
})

t.test('the headers of the request before are used where they are the same', async t => {
  const before = read('GET /a HTTP/1.1\r\nhost: a')
  t.ok(before)
  const same = readRequestHead('HEAD /b HTTP/1.1\r\nhost: a\r\n', before)
  t.equal(same?.headers, before?.headers)
  t.match(same, { method: 'head', target: '/b' })
  t.match(readRequestHead('GET /b HTTP/1.1\r\nhost: b\r\n', before), { headers: ['host', 'b'] })
  const old = readRequestHead('GET /b HTTP/1.0\r\nhost: a\r\n', before)
  t.match(old, { isOld: true, keepsAlive: false })
})

t.test('a request that is not simple is left to node:http', async t => {
  const host = ' HTTP/1.1\r\nhost: a\r\n'
  for (const head of [
    `POST /${host}`,
    `GET http://a/${host}`,
    `GET *${host}`,
    `get /${host}`,
    `GET  /${host}`,
    `GET /a b${host}`,
    `GET /\x7f${host}`,
    `GET /\0${host}`,
    'GET / HTTP/2.0\r\nhost: a\r\n',
    'GET /\r\n',
    'GET / HTTP/1.1\r\n',
    'GET / HTTP/1.1\nhost: a\r\n',
    `GET /${host}host: a\r\n`,
    `GET /${host}content-length: 0\r\n`,
    `GET /${host}Transfer-Encoding: chunked\r\n`,
    `GET /${host}upgrade: websocket\r\n`,
    `GET /${host}expect: 100-continue\r\n`,
    `GET /${host}connection: keep-alive, close\r\n`,
    `GET /${host}connection: close\r\nconnection: keep-alive\r\n`,
    `GET /${host}a : b\r\n`,
    `GET /${host}a: b\r\n c\r\n`,
    `GET /${host}a: b\nc: d\r\n`,
    `GET /${host}a: b\rc: d\r\n`,
    `GET /${host}a: \0\r\n`,
    `GET /${host}: b\r\n`,
    `GET /${host}a\r\n`,
    `GET /${host}a: b`,
  ]) {
    t.equal(readRequestHead(head), undefined, JSON.stringify(head))
  }
})

/** Reads one request with node:http. Undefined when it is refused or not complete. */
function readWithNode(head: string): Promise<object | undefined> {
  return new Promise(resolve => {
    const socket = new Duplex({ read() {}, write: (_chunk, _encoding, done) => done() })
    const server = createServer(({ headers, method, rawHeaders, url }) => {
      const [to, names] = [headers.connection?.toLowerCase(), rawHeaders]
      resolve({ method: method?.toLowerCase(), target: url, headers: names, connection: to })
      socket.destroy()
    })
    server.on('clientError', () => resolve(undefined))
    server.emit('connection', socket)
    socket.push(Buffer.from(`${head}\r\n`, 'latin1'))
    setImmediate(() => setImmediate(resolve, undefined))
  })
}

const PIECES = [
  ...['GET ', 'HEAD ', '/', '/announce?a=b', ' HTTP/1.1', ' HTTP/1.0', '\r\n', 'host: a\r\n'],
  ...['\r', '\n', ' ', '\t', ':', 'a', '%', '#', '\0', '\x7f', '~', '!', '"', '(', '\x1b', ','],
  ...['connection: close\r\n', 'connection: keep-alive\r\n', 'x-y: z\r\n', 'Host:b\r\n', 'x:\r\n'],
]

t.test('node:http reads the same in every head that is accepted', async t => {
  const random = createRandom(20)
  let accepted = 0
  for (let n = 0; n < 6000; n++) {
    const parts = ['GET ', '/announce?a=b', ' HTTP/1.1', '\r\n', 'host: a\r\n', 'x-y: z\r\n']
    for (let changes = randomBelow(random, 4); changes > 0; changes--) {
      const piece = PIECES[randomBelow(random, PIECES.length)] as string
      parts.splice(randomBelow(random, parts.length + 1), randomBelow(random, 2), piece)
    }
    const text = parts.join('')
    const head = readRequestHead(text)
    if (!head) continue
    accepted++
    const { headers, method, target } = head
    const served = await readWithNode(text)
    t.match(served, { method, target, headers }, JSON.stringify(text))
  }
  t.ok(accepted > 500, `${accepted} accepted`)
})
