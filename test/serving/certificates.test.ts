import { rmSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { loadConfig } from '../../src/config/load.ts'
import { openCertificates } from '../../src/serving/certificates.ts'
import { createTestLog } from '../app/fixtures/log-lines.ts'
import { makePair, tlsKeys, writePair } from '../fixtures/certificates.ts'
import { configFile, temporaryFolder } from '../fixtures/start-tracker.ts'

function configOf(t: Test, servers: object) {
  return loadConfig({ file: configFile(t, servers), environment: {} }).config
}

t.test('every enabled server with TLS has its pair, and no other', async t => {
  const folder = temporaryFolder(t)
  const certificate = await writePair(folder)
  const config = configOf(t, {
    http_server: [{ bind_address: '127.0.0.1:7000' }, { ...tlsKeys(folder) }],
    api_server: [{ ...tlsKeys('/nowhere'), enabled: false }],
  })
  const { log, lines } = createTestLog()
  const certificates = openCertificates(config, log)
  t.teardown(() => certificates.stop())
  t.equal(certificates.pairOf('http_server', 0), undefined)
  t.equal(certificates.pairOf('http_server', 1)?.certificate, certificate)
  t.equal(certificates.pairOf('api_server', 0), undefined)
  t.same(lines, [])
})

t.test('the log reports a certificate that expires soon or is not yet valid', async t => {
  for (const [from, to, msg] of [
    [-80, 10, 'certificate expires soon: renew it'],
    [5, 80, 'certificate is not yet valid; check the system clock'],
  ] as const) {
    const folder = temporaryFolder(t)
    await writePair(folder, makePair(from, to))
    // The same file twice causes one line.
    const config = configOf(t, {
      http_server: [tlsKeys(folder)],
      api_server: [tlsKeys(folder)],
    })
    const { log, lines } = createTestLog()
    await openCertificates(config, log).stop()
    t.match(lines, [{ level: 40, msg, file: join(folder, 'cert.pem') }])
    t.equal(lines.length, 1)
  }
})

t.test('all faults are named at once', async t => {
  const folder = temporaryFolder(t)
  await writePair(folder)
  rmSync(join(folder, 'key.pem'))
  const config = configOf(t, { http_server: [tlsKeys(folder)], api_server: [tlsKeys('/nowhere')] })
  t.throws(() => openCertificates(config, createTestLog().log), {
    exitStatus: 78,
    message: /^http_server\[0\]\.ssl_key: .*\napi_server\[0\]\.ssl_cert: .*ENOENT/,
  })
})
