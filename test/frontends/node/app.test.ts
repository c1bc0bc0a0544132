import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { connect as connectTls } from 'node:tls'
import t, { type Test } from 'tap'
import type { AppOptions, HttpResponse } from '../../../src/frontends/adapter.ts'
import { listen } from '../../../src/frontends/listen.ts'
import { nodeBackend } from '../../../src/frontends/node/app.ts'
import { createSelfSigned } from '../../../src/tls/self-signed.ts'
import { RawConnection } from '../../fixtures/http-client.ts'

/** Answers with method, path and query, after as many turns of the event loop as the query says. */
async function start(t: Test, options: AppOptions = {}) {
  const app = nodeBackend.createApp(options)
  t.teardown(() => app.close())
  let handled = 0
  app.any('/*', (response, request) => {
    handled++
    const text = `${request.getMethod()} ${request.getUrl()} ${request.getQuery() ?? '-'}`
    const { byteLength } = response.getProxiedRemoteAddress()
    const body = byteLength > 0 ? `${text} from ${byteLength}` : text
    answerAfter(Number(request.getQuery() ?? 0), response, body)
  })
  const { port } = await listen(nodeBackend, app, '127.0.0.1', 0)
  return { app, port, handled: () => handled, open: () => RawConnection.open(port) }
}

function answerAfter(turns: number, response: HttpResponse, body: string): void {
  if (turns > 0) setImmediate(answerAfter, turns - 1, response, body)
  else response.writeHeader('content-type', 'text/plain').end(body)
}

const get = (target: string, more = '') => `GET ${target} HTTP/1.1\r\nhost: x\r\n${more}\r\n`

t.test(
  'pipelined requests are answered in their order, whenever the answers are ready',
  async t => {
    const { open } = await start(t)
    const connection = await open()
    const targets = Array.from({ length: 20 }, (_, n) => `/${n}?${(20 - n) % 7}`)
    connection.write(targets.map(target => get(target)).join(''))
    for (const target of targets) {
      const answer = await connection.read()
      t.equal(String(answer?.body), `get ${target.replace('?', ' ')}`)
    }
    connection.destroy()
  },
)

t.test('a client that pipelines without reading is served one answer, and cut off', async t => {
  const body = 'x'.repeat(1 << 20)
  const app = nodeBackend.createApp()
  t.teardown(() => app.close())
  let handled = 0
  app.any('/*', response => {
    handled++
    response.end(body)
  })
  const { port } = await listen(nodeBackend, app, '127.0.0.1', 0)
  const socket = connect(port, '127.0.0.1').pause()
  socket.on('error', () => {})
  socket.write(get('/').repeat(1000))
  // A paused socket notices the end only when it writes.
  while (!socket.destroyed) {
    await sleep(10)
    socket.write(get('/'))
  }
  // The kernel may hold a few answers of a MiB.
  t.ok(handled < 20, `${handled} of 1000 requests handled`)
})

t.test('HTTP/1.0 is answered, and its connection closed without keep-alive', async t => {
  const { open } = await start(t)
  const connection = await open()
  connection.write('GET /a HTTP/1.0\r\nconnection: keep-alive\r\n\r\n')
  t.equal(String((await connection.read())?.body), 'get /a -')
  connection.write('GET /b HTTP/1.0\r\n\r\n')
  t.equal(String((await connection.read())?.body), 'get /b -')
  await connection.ended()
})

t.test('an offer of HTTP/2 is ignored, with and without a WebSocket route', async t => {
  for (const hasRoute of [false, true]) {
    const { app, open } = await start(t)
    if (hasRoute) {
      app.ws('/*', {
        maxPayloadLength: 1000,
        maxBackpressure: 1000,
        closeOnBackpressureLimit: true,
        idleTimeout: 60,
        sendPingsAutomatically: true,
        upgrade: () => t.fail('not a WebSocket'),
        open() {},
        message() {},
        pong() {},
        close() {},
      })
    }
    const offer = 'connection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\nhttp2-settings: AAA\r\n'
    const connection = await open()
    connection.write(get('/a', offer) + get('/b'))
    t.equal(String((await connection.read())?.body), 'get /a -')
    t.equal(String((await connection.read())?.body), 'get /b -')
    connection.destroy()
  }
})

t.test('unusual requests are answered', async t => {
  const { open } = await start(t)
  for (const [request, status] of [
    ['GET http://x:80/a?1 HTTP/1.1\r\nhost: x\r\n\r\n', 200],
    ['\r\nGET /a HTTP/1.1\r\nhost: x\r\n\r\n', 200],
    ['GET /a HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n', 200],
    ['GET /a HTTP/1.1\r\n\r\n', 400],
    ['GET /a HTTP/1.1\r\nhost : x\r\n\r\n', 400],
    ['GET /a HTTP/1.1\r\nhost: x\r\nHOST: x\r\n\r\n', 400],
    ['GET /a HTTP/1.1\r\nhost: x\r\nhost: y\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\n', 400],
    ['nonsense\r\n\r\n', 400],
    ['\x16\x03\x01\x00\x01\r\n\r\n', 400],
    ['GET /a HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n', 400],
    ['GET /a HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\ncontent-length: 9\r\n\r\n', 400],
    [`GET /a HTTP/1.1\r\nhost: x\r\ncookie: ${'c'.repeat(20_000)}\r\n\r\n`, 431],
  ] as const) {
    const connection = await open()
    connection.write(Buffer.from(request, 'latin1'))
    t.equal((await connection.read())?.status, status, JSON.stringify(request.slice(0, 60)))
    connection.destroy()
  }
})

t.test('a malformed request is refused after the answers to earlier requests', async t => {
  const { open } = await start(t)
  const connection = await open()
  connection.write(`${get('/a?5') + get('/b?3')}nonsense\r\n\r\n`)
  t.equal(String((await connection.read())?.body), 'get /a 5')
  t.equal(String((await connection.read())?.body), 'get /b 3')
  t.equal((await connection.read())?.status, 400)
  await connection.ended()
})

t.test(
  'a request with two Host lines is refused after the answers to earlier requests',
  async t => {
    const { handled, open } = await start(t)
    const connection = await open()
    connection.write(get('/a?3') + get('/b', 'host: y\r\n') + get('/c'))
    t.equal(String((await connection.read())?.body), 'get /a 3')
    t.equal((await connection.read())?.status, 400)
    await connection.ended()
    t.equal(handled(), 1)
  },
)

t.test('a head of 15 KiB may arrive in several segments', async t => {
  const { open } = await start(t)
  const request = get('/a', `cookie: ${'c'.repeat(15_000)}\r\n`)
  const connection = await open()
  for (let at = 0; at < request.length; at += 1448) {
    connection.write(request.slice(at, at + 1448))
    await sleep(1)
  }
  t.equal((await connection.read())?.status, 200)
  connection.destroy()
})

t.test('an idle connection is closed after the idle timeout', async t => {
  const { open } = await start(t, { idleTimeout: 1 })
  const connection = await open()
  t.equal((await connection.get('/a'))?.status, 200)
  t.equal((await connection.get('/b'))?.status, 200)
  await connection.ended()
})

t.test('connections over a limit are closed, and every other one is reported once', async t => {
  let isFull = false
  const events: string[] = []
  const gate = {
    open() {
      events.push(isFull ? 'refused' : 'open')
      return !isFull
    },
    close: () => void events.push('close'),
  }
  const { open } = await start(t, { gate })
  const first = await open()
  t.equal((await first.get('/a'))?.status, 200)
  isFull = true
  const second = await open()
  await second.ended()
  t.equal((await first.get('/b'))?.status, 200)
  first.destroy()
  while (events.length < 3) await sleep(1)
  t.same(events, ['open', 'refused', 'close'])
})

const HEADER = Buffer.from('0d0a0d0a000d0a515549540a2111000c050607087f0000011ae10050', 'hex')
const OTHER = Buffer.from('0d0a0d0a000d0a515549540a2111000c090909097f0000011ae10050', 'hex')

t.test('a PROXY header counts for the whole connection, wherever it is cut', async t => {
  const { open } = await start(t, { believesProxyHeader: () => true })
  const line = Buffer.from('PROXY TCP4 5.6.7.8 127.0.0.1 40000 80\r\n')
  for (const header of [HEADER, line]) {
    for (let cut = 0; cut <= header.length; cut += 5) {
      const connection = await open()
      connection.write(header.subarray(0, cut))
      await sleep(1)
      connection.write(Buffer.concat([header.subarray(cut), Buffer.from(get('/a'))]))
      t.equal(String((await connection.read())?.body), 'get /a - from 4', `cut at ${cut}`)
      t.equal(String((await connection.get('/b'))?.body), 'get /b - from 4')
      connection.destroy()
    }
  }
})

t.test('a second PROXY header is never accepted', async t => {
  const { open } = await start(t, { believesProxyHeader: () => true })
  const request = Buffer.from(get('/a'))
  const atOnce = await open()
  atOnce.write(Buffer.concat([HEADER, OTHER, request]))
  t.equal((await atOnce.read())?.status, 400, 'in the same packet')
  const later = await open()
  later.write(HEADER)
  await sleep(5)
  later.write(Buffer.concat([OTHER, request]))
  t.equal((await later.read())?.status, 400, 'in the next packet')
  const behind = await open()
  behind.write(Buffer.concat([HEADER, request]))
  t.equal((await behind.read())?.status, 200)
  behind.write(Buffer.concat([OTHER, request]))
  t.equal((await behind.read())?.status, 400, 'behind an answer')
  const together = await open()
  together.write(Buffer.concat([HEADER, request, OTHER, request]))
  t.equal((await together.read())?.status, 200)
  t.equal((await together.read())?.status, 400, 'behind a request')
})

t.test('a PROXY header before TLS counts for every request behind it', async t => {
  const day = 86_400_000
  const [notBefore, notAfter] = [new Date(Date.now() - day), new Date(Date.now() + day)]
  const tls = await createSelfSigned({ domain: 'localhost', notBefore, notAfter })
  const { port } = await start(t, { tls, believesProxyHeader: () => true })
  const socket = connect(port, '127.0.0.1')
  socket.write(HEADER)
  const secure = connectTls({ socket, rejectUnauthorized: false })
  secure.write(`${get('/a')}POST /b HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n`)
  let received = ''
  for await (const chunk of secure) received += chunk
  t.match(received, /get \/a - from 4.*post \/b - from 4/s)
})

t.test(
  'a malformed header closes the connection; without one, and from others, HTTP reads',
  async t => {
    const trusting = await start(t, { believesProxyHeader: () => true })
    const short = await trusting.open()
    short.write(Buffer.concat([HEADER.subarray(0, 14), Buffer.of(0, 4, 5, 6, 7, 8)]))
    await short.ended()
    t.equal(trusting.handled(), 0)
    const bare = await trusting.open()
    t.equal(String((await bare.get('/a'))?.body), 'get /a -')
    bare.destroy()
    const { open } = await start(t, { believesProxyHeader: () => false })
    const stranger = await open()
    stranger.write(HEADER)
    t.equal((await stranger.read())?.status, 400)
  },
)

t.test(
  'a client that disconnects aborts its request, and those behind it are not handled',
  async t => {
    const app = nodeBackend.createApp()
    t.teardown(() => app.close())
    const events: string[] = []
    app.any('/*', (response, request) => {
      const path = request.getUrl()
      events.push(path)
      response.onAborted(() => void events.push(`aborted ${path}`))
    })
    const { port } = await listen(nodeBackend, app, '127.0.0.1', 0)
    const connection = await RawConnection.open(port)
    connection.write(get('/a') + get('/b'))
    while (events.length < 1) await sleep(1)
    connection.reset()
    while (events.length < 2) await sleep(1)
    t.same(events, ['/a', 'aborted /a'])
  },
)

t.test('a client that closes its sending side gets the answers to what it sent', async t => {
  const { open } = await start(t)
  const connection = await open()
  connection.write(get('/a?9') + get('/b?3'))
  connection.end()
  t.equal(String((await connection.read())?.body), 'get /a 9')
  t.equal(String((await connection.read())?.body), 'get /b 3')
  await connection.ended()
})

t.test('a connection is served on after a request for node:http in between', async t => {
  const { open } = await start(t)
  const connection = await open()
  const post = 'POST /b?4 HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\n\r\nbody'
  connection.write(get('/a?5') + post + get('/c?3'))
  for (const body of ['get /a 5', 'post /b 4', 'get /c 3']) {
    t.equal(String((await connection.read())?.body), body)
  }
  t.equal(String((await connection.get('/d'))?.body), 'get /d -')
  connection.destroy()
})

/** Sends the requests in one packet and returns all that is received until the connection ends. */
async function exchange(port: number, requests: string): Promise<string> {
  const socket = connect(port, '127.0.0.1')
  socket.write(requests, 'latin1')
  let received = ''
  for await (const chunk of socket) received += (chunk as Buffer).toString('latin1')
  return received
}

/** The heads of answers with their lines in lower case and in order. */
function normalized(answers: string): string {
  return answers.replace(/HTTP\/1\.1 .*?\r\n\r\n/gs, head =>
    head.toLowerCase().split('\r\n').sort().join('\r\n'),
  )
}

t.test('answers have the same bytes, on the socket and on node:http', async t => {
  const app = nodeBackend.createApp()
  t.teardown(() => app.close())
  const encoder = new TextEncoder()
  const [type, text] = [encoder.encode('content-type').buffer, encoder.encode('text/plain').buffer]
  app.any('/bytes', response => {
    response.writeHeader(type, text).end(Uint8Array.of(0x64, 0xff, 0x00, 0x65))
  })
  app.any('/large', response => void response.end(new Uint8Array(100_000).fill(0x61)))
  app.any('/text', response => void response.end('größer, 大きい'))
  app.any('/empty', response => void response.writeStatus('404 Not Found').end(''))
  app.any('/none', response => {
    response.writeStatus('204 No Content').writeHeader('x-y', 'z').endWithoutBody()
  })
  app.any('/last', response => void response.end('last', true))
  app.any('/chunks', response => {
    response.write('ä')
    setImmediate(() => {
      response.write(Uint8Array.of(1, 2))
      setImmediate(() => response.end())
    })
  })
  const { port } = await listen(nodeBackend, app, '127.0.0.1', 0)
  const heads = [
    ' HTTP/1.1\r\nhost: x\r\n',
    ' HTTP/1.1\r\nhost: x\r\nconnection: close\r\n',
    ' HTTP/1.0\r\n',
    ' HTTP/1.0\r\nconnection: keep-alive\r\n',
  ]
  for (const path of ['/bytes', '/large', '/text', '/empty', '/none', '/last', '/chunks']) {
    for (const method of ['GET', 'HEAD']) {
      for (const head of heads) {
        // node:http closes a connection of HTTP/1.0 behind an answer without a length.
        if (path === '/none' && head.includes('HTTP/1.0')) continue
        const request = `${method} ${path}${head}`
        const direct = await exchange(port, `${request}\r\n${get('/last')}`)
        const served = await exchange(port, `${request}trailer: x\r\n\r\n${get('/last')}`)
        t.equal(normalized(direct), normalized(served), JSON.stringify(request))
        t.match(direct, /^HTTP\/1\.1 \d{3} /)
      }
    }
  }
})

t.test('a header that would begin another line is refused', async t => {
  const app = nodeBackend.createApp()
  t.teardown(() => app.close())
  app.any('/*', response => {
    t.throws(() => response.writeHeader('location', 'a\r\nset-cookie: b'), TypeError)
    response.writeHeader('location', 'a').endWithoutBody()
  })
  const { port } = await listen(nodeBackend, app, '127.0.0.1', 0)
  const connection = await RawConnection.open(port)
  for (const path of ['/', '/again']) {
    t.equal((await connection.get(path))?.headers['content-length'], '0')
  }
  connection.destroy()
})

t.test('a request whose body is malformed is aborted and refused', async t => {
  const app = nodeBackend.createApp()
  t.teardown(() => app.close())
  const events: string[] = []
  app.any('/*', (response, request) => {
    const name = `${request.getMethod()} ${request.getUrl()}`
    response.onAborted(() => void events.push(`${name} aborted`))
    response.onData((_chunk, isLast) => {
      if (isLast) setImmediate(() => response.end(name))
    })
  })
  const { port } = await listen(nodeBackend, app, '127.0.0.1', 0)
  const post = 'POST /b HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n'
  const only = await RawConnection.open(port)
  only.write(post)
  await sleep(5)
  only.write('nonsense')
  t.equal((await only.read())?.status, 400)
  await only.ended()
  const behind = await RawConnection.open(port)
  behind.write(`${get('/a') + post}nonsense`)
  t.equal(String((await behind.read())?.body), 'get /a')
  t.equal((await behind.read())?.status, 400)
  await behind.ended()
  t.same(new Set(events), new Set(['post /b aborted']))
})
