import { once } from 'node:events'
import { connect } from 'node:net'
import bencode from 'bencode'
import t, { type Test } from 'tap'
import { announceTarget } from '../fixtures/load.ts'
import { startBehindProxy, startHaproxy, startNginx } from '../fixtures/proxies.ts'
import { hasProgram } from '../fixtures/real-clients.ts'
import { openWebsocket } from '../fixtures/websocket-client.ts'

/** A loopback address that neither the proxy nor the tracker uses. */
const CLIENT = '127.0.0.9'

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
  const tracker = await startBehindProxy(t, 'behind-a-proxy.toml')
  const port = await startNginx(t, tracker)
  await testAnnounces(t, port)
  const socket = await openWebsocket(t, `ws://127.0.0.1:${port}/announce`)
  socket.send(ANNOUNCE)
  t.match(await socket.message(({ action }) => action === 'announce'), { incomplete: 1 })
})

t.test(
  'nginx without proxy_http_version, over HTTP/1.0, with node:http',
  { skip: nginx },
  async t => {
    const frontend = { workers: 1, http: 'node' }
    const tracker = await startBehindProxy(t, 'behind-a-proxy.toml', { frontend })
    await testAnnounces(t, await startNginx(t, tracker, ['proxy_http_version 1.1;']))
  },
)

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
      const port = await startHaproxy(t, proxyFile, tracker)
      await testAnnounces(t, port)
    },
  )
}
