import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import bencode from 'bencode'
import { parse } from 'smol-toml'
import t, { type Test } from 'tap'
import { freePort } from '../../bench/rivals/free-port.ts'
import { fileOf } from '../fixtures/documents.ts'
import { announceTarget } from '../fixtures/load.ts'
import { hasProgram } from '../fixtures/real-clients.ts'
import { startTracker, temporaryFolder } from '../fixtures/start-tracker.ts'
import { openWebsocket } from '../fixtures/websocket-client.ts'

/** Configuration files of the guide, unchanged except for the ports. */
const GUIDE = 'docs/operate/proxies.md'
/** A loopback address that neither the proxy nor the tracker uses. */
const CLIENT = '127.0.0.9'

function documented(name: string, trackerPort: number, port: number): string {
  return fileOf(GUIDE, name)
    .replaceAll(':6969', `:${trackerPort}`)
    .replace(/(listen |bind :)80\b/, `$1${port}`)
    .replace(/bind :/, 'bind 127.0.0.1:')
    .replace(/listen (\d)/, 'listen 127.0.0.1:$1')
}

/** Starts the tracker with the documented configuration on a free port. */
async function startBehindProxy(t: Test, file = 'behind-a-proxy.toml'): Promise<number> {
  const port = await freePort()
  const config = parse(fileOf(GUIDE, file).replaceAll(':6969', `:${port}`))
  await startTracker(t, { ...config, udp_server: [], frontend: { workers: 1 } })
  return port
}

/** Starts a proxy and resolves once it accepts connections. */
async function startProxy(t: Test, command: readonly string[], port: number): Promise<void> {
  const [program = '', ...words] = command
  const child: ChildProcess = spawn(program, words, { stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on('data', chunk => {
      output += chunk
    })
  }
  const ended = once(child, 'exit')
  t.teardown(async () => {
    if (child.exitCode === null) child.kill('SIGTERM')
    await ended
  })
  for (;;) {
    if (child.exitCode !== null) throw new Error(`${program} ended: ${output}`)
    const socket = connect({ port, host: '127.0.0.1' })
    const came = await Promise.race([
      once(socket, 'connect').then(
        () => true,
        () => false,
      ),
      ended.then(() => false),
    ])
    socket.destroy()
    if (came) return
    await new Promise(resolve => setTimeout(resolve, 50))
  }
}

/** Announces from CLIENT over a new connection and decodes the answer. */
async function announceFrom(port: number, client: number): Promise<Record<string, unknown>> {
  const socket = connect({ port, host: '127.0.0.1', localAddress: CLIENT })
  const chunks: Buffer[] = []
  socket.on('data', chunk => chunks.push(chunk))
  socket.write(
    `GET ${announceTarget(client, 1)} HTTP/1.1\r\nHost: tracker\r\nConnection: close\r\n\r\n`,
  )
  await once(socket, 'end')
  socket.destroy()
  const answer = Buffer.concat(chunks)
  return bencode.decode(answer.subarray(answer.indexOf('\r\n\r\n') + 4)) as Record<string, unknown>
}

function externalAddress(answer: Record<string, unknown>): string {
  return [...(answer['external ip'] as Uint8Array)].join('.')
}

/** Info hash and peer id in WebTorrent's form, one character per byte. */
const ANNOUNCE = {
  action: 'announce',
  info_hash: 'h'.repeat(20),
  peer_id: 'p'.repeat(20),
  left: 1,
  numwant: 0,
}

async function testAnnounces(t: Test, port: number): Promise<void> {
  for (let n = 1; n <= 50; n++) {
    const answer = await announceFrom(port, 2 * n + 1)
    t.match(answer, { incomplete: n })
    t.equal(externalAddress(answer), CLIENT)
  }
}

const nginx = hasProgram('nginx') ? false : 'nginx is not installed'
t.test('nginx as documented: HTTP with the address of the client', { skip: nginx }, async t => {
  const tracker = await startBehindProxy(t)
  const port = await freePort()
  const folder = temporaryFolder(t)
  mkdirSync(join(folder, 'temp'))
  writeFileSync(join(folder, 'site.conf'), documented('nginx-site.conf', tracker, port))
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map(name => `${name}_temp_path ${folder}/temp;`)
    .join(' ')
  writeFileSync(
    join(folder, 'nginx.conf'),
    `daemon off; pid ${folder}/pid; error_log stderr; events {} http { ${temporary} include ${folder}/site.conf; }`,
  )
  await startProxy(t, ['nginx', '-p', folder, '-c', join(folder, 'nginx.conf')], port)
  await testAnnounces(t, port)
  const socket = await openWebsocket(t, `ws://127.0.0.1:${port}/announce`)
  socket.send(ANNOUNCE)
  t.match(await socket.message(({ action }) => action === 'announce'), { incomplete: 1 })
})

const haproxy = hasProgram('haproxy') ? false : 'haproxy is not installed'
for (const [mode, proxyFile, trackerFile] of [
  ['HTTP', 'haproxy.cfg', 'behind-a-proxy.toml'],
  ['PROXY protocol', 'haproxy-tcp.cfg', 'proxy-protocol.toml'],
] as const) {
  t.test(
    `HAProxy as documented: the client’s own address by ${mode}`,
    {
      skip: haproxy,
    },
    async t => {
      const tracker = await startBehindProxy(t, trackerFile)
      const port = await freePort()
      const file = join(temporaryFolder(t), 'haproxy.cfg')
      writeFileSync(file, documented(proxyFile, tracker, port))
      await startProxy(t, ['haproxy', '-db', '-f', file], port)
      await testAnnounces(t, port)
    },
  )
}
