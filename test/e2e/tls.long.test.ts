import { once } from 'node:events'
import { rmSync } from 'node:fs'
import { request } from 'node:https'
import { join } from 'node:path'
import { connect, type SecureVersion, type TLSSocket } from 'node:tls'
import t from 'tap'
import { announce, TOKEN } from '../fixtures/admin-client.ts'
import { makePair, tlsKeys, writePair } from '../fixtures/certificates.ts'
import {
  configFile,
  LOOPBACK,
  launch,
  startTracker,
  temporaryFolder,
} from '../fixtures/start-tracker.ts'

/** Sends a GET over a new connection that trusts only `ca`. */
function get(port: number, path: string, ca: string, headers = {}): Promise<string> {
  return new Promise((resolve, reject) => {
    request({ port, path, ca, headers, host: 'localhost', family: 4, agent: false }, incoming => {
      let text = ''
      incoming.setEncoding('latin1').on('data', chunk => {
        text += chunk
      })
      incoming.once('end', () => resolve(text))
    })
      .once('error', reject)
      .end()
  })
}

/** Returns the negotiated TLS version, or the error of the handshake. */
function handshake(port: number, version: SecureVersion): Promise<string> {
  return new Promise(resolve => {
    const socket: TLSSocket = connect(
      {
        port,
        host: '127.0.0.1',
        minVersion: version,
        maxVersion: version,
        rejectUnauthorized: false,
        // Allows this client to offer old versions.
        ciphers: 'DEFAULT@SECLEVEL=0',
      },
      () => {
        resolve(String(socket.getProtocol()))
        socket.destroy()
      },
    )
    socket.once('error', (error: NodeJS.ErrnoException) => resolve(String(error.code)))
  })
}

for (const workers of [0, 1]) {
  t.test(`tracker and API speak TLS, with ${workers} workers`, async t => {
    const folder = temporaryFolder(t)
    const ca = await writePair(folder)
    const server = { bind_address: '127.0.0.1:0', ...tlsKeys(folder) }
    const tracker = await startTracker(t, {
      http_server: [server],
      api_server: [server],
      tracker_config: { api_key: TOKEN },
      frontend: { workers },
    })
    const [http, api] = [tracker.port('http'), tracker.port('api')]
    t.match(await get(http, announce('/announce', 1), ca), /^d8:complete/)
    const authorization = { authorization: `Bearer ${TOKEN}` }
    t.match(JSON.parse(await get(api, '/stats', ca, authorization)), { torrents: 1 })
    await t.rejects(get(http, announce('/announce', 1), (await makePair()).certificate), {
      code: 'DEPTH_ZERO_SELF_SIGNED_CERT',
    })
    for (const port of [http, api]) {
      for (const version of ['TLSv1.2', 'TLSv1.3'] as const)
        t.equal(await handshake(port, version), version)
      for (const version of ['TLSv1', 'TLSv1.1'] as const)
        t.equal(await handshake(port, version), 'ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION', version)
    }
  })
}

function open(port: number, version: SecureVersion, session?: Buffer): TLSSocket {
  return connect({
    port,
    host: '127.0.0.1',
    minVersion: version,
    maxVersion: version,
    rejectUnauthorized: false,
    ...(session && { session }),
  })
}

/** The session of a new connection. TLS 1.3 sends it after the handshake. */
async function newSession(port: number, version: SecureVersion): Promise<Buffer> {
  const socket = open(port, version)
  const [session] = await once(socket, 'session')
  socket.destroy()
  return session as Buffer
}

async function resumes(port: number, version: SecureVersion, session: Buffer): Promise<boolean> {
  const socket = open(port, version, session)
  await once(socket, 'secureConnect')
  const isResumed = socket.isSessionReused()
  socket.destroy()
  return isResumed
}

t.test('on node:http every worker resumes the sessions of others, also after a reload', async t => {
  const folder = temporaryFolder(t)
  await writePair(folder)
  const tracker = await startTracker(t, {
    http_server: [{ bind_address: '127.0.0.1:0', ...tlsKeys(folder) }],
    api_server: [{ bind_address: '127.0.0.1:0' }],
    tracker_config: { api_key: TOKEN },
    frontend: { workers: 2, http: 'node' },
  })
  const port = tracker.port('http')
  for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
    const session = await newSession(port, version)
    // The chance that one worker of two gets all connections is 1 in 2^12.
    for (let n = 0; n < 12; n++) t.ok(await resumes(port, version, session))
    await writePair(folder)
    const reloaded = await fetch(`http://127.0.0.1:${tracker.port('api')}/api/certificate/reload`, {
      method: 'POST',
      headers: { authorization: `Bearer ${TOKEN}` },
    })
    t.equal(reloaded.status, 200)
    for (let n = 0; n < 4; n++) t.ok(await resumes(port, version, session))
  }
})

t.test('invalid files stop the start with their names', async t => {
  const folder = temporaryFolder(t)
  const config = configFile(t, {
    ...LOOPBACK,
    http_server: [{ bind_address: '127.0.0.1:0', ...tlsKeys(folder) }],
  })
  const refusal = async () => {
    const tracker = launch(t, ['--config', config])
    t.equal(await tracker.ended, 78)
    t.equal(await launch(t, ['--config', config, '--check-config']).ended, 78)
    return tracker.stderr()
  }
  t.match(await refusal(), /^http_server\[0\]\.ssl_cert: ".*cert\.pem" cannot be used: ENOENT/)
  await writePair(folder, makePair(-20, -10))
  t.match(
    await refusal(),
    /^http_server\[0\]\.ssl_cert: ".*cert\.pem" cannot be used: it expired on/,
  )
  await writePair(folder)
  rmSync(join(folder, 'key.pem'))
  t.match(await refusal(), /^http_server\[0\]\.ssl_key: ".*key\.pem" cannot be used: ENOENT/)
})
