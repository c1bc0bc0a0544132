import { writeFileSync } from 'node:fs'
import { request } from 'node:https'
import { join } from 'node:path'
import { connect, type TLSSocket } from 'node:tls'
import t, { type Test } from 'tap'
import { openUdpClient } from '../e2e/fixtures/udp-client.ts'
import { announce, TOKEN } from '../fixtures/admin-client.ts'
import { makePair, tlsKeys, writePair } from '../fixtures/certificates.ts'
import { getBencoded, latin1 } from '../fixtures/http-client.ts'
import { startReloadable } from '../fixtures/reloadable.ts'
import { LOOPBACK, temporaryFolder } from '../fixtures/start-tracker.ts'
import { clientOf, hashOf } from '../fixtures/tracker-client.ts'
import { announceOf, isUpdate, openWebsocket } from '../fixtures/websocket-client.ts'

const QUICK = { request_interval: 1000, request_interval_minimum: 10, request_interval_jitter: 0 }

for (const workers of [0, 2]) {
  const frontend = { workers }

  t.test(`a SIGHUP changes what clients are told, with ${workers} workers`, async t => {
    const { reload, tracker } = await startReloadable(t, { frontend, tracker_config: QUICK })
    const http = () => getBencoded(tracker.url(), announce('/announce', 1))
    const udp = await openUdpClient(t, '127.0.0.1', tracker.port('udp', '127.0.0.1'))
    t.match(await http(), { interval: 1000, 'min interval': 10 })
    t.match(await udp.announce({ port: 1024 }), { interval: 1000 })
    const changed = { ...QUICK, request_interval: 1200, request_interval_minimum: 20 }
    t.equal(await reload({ tracker_config: changed, engine: { threads: 2 } }), 'reloaded')
    t.match(await http(), { interval: 1200, 'min interval': 20 })
    t.match(await udp.announce({ port: 1024 }), { interval: 1200 })
    t.match(
      tracker.log.filter(({ msg }) => msg === 'restart to apply'),
      [{ level: 40, keys: ['engine.threads'] }],
    )
    t.equal(await reload({ tracker_config: { ...changed, whitelist_enabled: true } }), 'reloaded')
    t.equal(latin1((await http())['failure reason']), 'unknown info_hash')
    await t.rejects(udp.announce({ port: 1024 }), { message: 'unknown info_hash' })
    t.equal(await reload({ tracker_config: changed }), 'reloaded')
    t.match(await http(), { interval: 1200 }, 'and back')
  })

  t.test(`a wrong configuration changes nothing, with ${workers} workers`, async t => {
    const { reload, tracker } = await startReloadable(t, { frontend, tracker_config: QUICK })
    const wrong = { ...QUICK, request_interval: 0, numwant_default: 'many' }
    t.match(await reload({ tracker_config: wrong }), /^not reloaded/)
    t.match(
      tracker.log.find(({ msg }) => msg.startsWith('not reloaded')),
      { level: 50, faults: [/request_interval: 0/, /numwant_default: "many"/] },
    )
    t.match(await reload('[[['), /^not reloaded/)
    t.match(await getBencoded(tracker.url(), announce('/announce', 1)), { interval: 1000 })
    t.equal(await reload({}), 'reloaded', 'and the next one can be right')
  })

  t.test(`listeners come and go, with ${workers} workers`, async t => {
    const { reload, tracker } = await startReloadable(t, { frontend })
    const url = tracker.url()
    t.equal(await reload({ http_server: [{ bind_address: '127.0.0.1:0' }] }), 'reloaded')
    t.equal(tracker.url(), url, 'the port stays')
    t.match(await getBencoded(url, announce('/announce', 1)), { complete: 0 })
    const after = tracker.log.length
    t.equal(await reload({ http_server: [{}, {}].map(() => LOOPBACK.http_server[0]) }), 'reloaded')
    const line = await tracker.line(({ msg }) => msg === 'listening', after)
    const added = `http://127.0.0.1:${line['port']}`
    t.match(await getBencoded(added, announce('/announce', 1)), { complete: 0 })
    t.match(await getBencoded(url, announce('/announce', 1)), { complete: 0 })
  })

  t.test(`WebSockets are asked to come back, with ${workers} workers`, async t => {
    const { reload, tracker } = await startReloadable(t, { frontend })
    const url = `${tracker.url().replace('http', 'ws')}/announce`
    const socket = await openWebsocket(t, url)
    socket.send(announceOf(hashOf(1), clientOf(1).peerId))
    await socket.message(isUpdate)
    t.equal(await reload({}), 'reloaded')
    t.equal(await socket.closed, 1012)
    const again = await openWebsocket(t, url)
    again.send(announceOf(hashOf(1), clientOf(1).peerId))
    t.match(await again.message(isUpdate), { incomplete: 1 })
  })

  t.test(`new certificates are for new connections, with ${workers} workers`, async t => {
    const folder = temporaryFolder(t)
    const first = await writePair(folder)
    const server = [{ bind_address: '127.0.0.1:0', ...tlsKeys(folder) }]
    const { reload, tracker } = await startReloadable(t, {
      frontend,
      http_server: server,
      api_server: server,
      tracker_config: { api_key: TOKEN },
    })
    const [http, api] = [tracker.port('http'), tracker.port('api')]
    const old = await connectTls(t, http, first)
    const status = await callApi(api, first, 'GET', '/api/certificate/status')
    t.match(status, {
      certificates: [{ server_type: 'http', bind_address: '127.0.0.1:0' }, { server_type: 'api' }],
    })

    writeFileSync(join(folder, 'cert.pem'), 'half a certi')
    t.match(await callApi(api, first, 'POST', '/api/certificate/reload'), {
      status: 'failed',
      errors: [{ error: /ssl_cert: .* no certificate in PEM form/ }, {}],
    })
    t.equal(await reload({}), 'reloaded')
    await connectTls(t, http, first)
    t.match(
      tracker.log.find(({ msg }) => msg === 'the certificate before stays in use'),
      { level: 50, reason: /^http_server\[0\]\.ssl_cert/ },
    )

    const second = await writePair(folder, makePair())
    const wanted = { server_type: 'http' }
    t.match(await callApi(api, first, 'POST', '/api/certificate/reload', wanted), {
      status: 'ok',
      reloaded: [{ server_type: 'http' }],
    })
    await connectTls(t, http, second)
    await t.rejects(connectTls(t, http, first))
    await connectTls(t, api, first)
    t.match(await answerOver(old), /^HTTP\/1\.1 200 OK/, 'an open connection goes on')
    t.equal(await reload({}), 'reloaded')
    await connectTls(t, api, second)
  })
}

t.test('an address that another program has changes nothing', async t => {
  const { reload, tracker } = await startReloadable(t, { frontend: { workers: 1 } })
  const other = await startReloadable(t, { frontend: { workers: 0 } })
  const taken = `127.0.0.1:${other.tracker.port('http', '127.0.0.1')}`
  t.match(await reload({ http_server: [{ bind_address: taken }] }), /^not reloaded/)
  t.match(
    tracker.log.find(({ msg }) => msg.startsWith('not reloaded')),
    { faults: [/another program has it/] },
  )
  t.equal(tracker.log.filter(({ msg }) => msg === 'worker started').length, 1)
  t.match(await getBencoded(tracker.url(), announce('/announce', 1)), { complete: 0 })
})

function connectTls(t: Test, port: number, ca: string): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, ca, host: '127.0.0.1', servername: 'localhost' }, () =>
      resolve(socket),
    )
    t.teardown(() => socket.destroy())
    socket.on('error', reject)
  })
}

function answerOver(socket: TLSSocket): Promise<string> {
  return new Promise((resolve, reject) => {
    socket.once('data', chunk => resolve(chunk.toString('latin1')))
    socket.once('close', () => reject(new Error('closed')))
    socket.write(`GET ${announce('/announce', 2)} HTTP/1.1\r\nhost: tracker\r\n\r\n`)
  })
}

function callApi(
  port: number,
  ca: string,
  method: string,
  path: string,
  body?: object,
): Promise<unknown> {
  const headers = { authorization: `Bearer ${TOKEN}` }
  return new Promise((resolve, reject) => {
    request(
      { port, path, ca, method, headers, host: 'localhost', family: 4, agent: false },
      incoming => {
        let text = ''
        incoming.on('data', chunk => {
          text += chunk
        })
        incoming.once('end', () => resolve(JSON.parse(text)))
      },
    )
      .once('error', reject)
      .end(body && JSON.stringify(body))
  })
}
