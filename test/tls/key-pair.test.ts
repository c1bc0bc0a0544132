import { execFileSync } from 'node:child_process'
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { KeyPairError, readKeyPair } from '../../src/tls/key-pair.ts'
import { makePair, writePair } from '../fixtures/certificates.ts'
import { temporaryFolder } from '../fixtures/start-tracker.ts'

function files(t: Test) {
  const folder = temporaryFolder(t)
  return {
    folder,
    keyFile: join(folder, 'key.pem'),
    certificateFile: join(folder, 'cert.pem'),
    keyName: 'http_server[0].ssl_key',
    certificateName: 'http_server[0].ssl_cert',
  }
}

t.test('a pair is read unchanged, with the validity period of its certificate', async t => {
  const where = files(t)
  const certificate = await writePair(where.folder)
  const pair = readKeyPair(where, Date.now())
  t.equal(pair.certificate, certificate)
  t.equal(pair.key, readFileSync(where.keyFile, 'utf8'))
  t.ok(pair.notBefore < Date.now() && pair.notAfter > Date.now())
})

t.test('the certificate of the server must come before the intermediates', async t => {
  const where = files(t)
  const own = await writePair(where.folder)
  const other = (await makePair()).certificate
  writeFileSync(where.certificateFile, `${own}\n${other}\n`)
  t.equal(readKeyPair(where, Date.now()).certificate, `${own}\n${other}\n`)
  writeFileSync(where.certificateFile, `${other}\n${own}\n`)
  t.throws(() => readKeyPair(where, Date.now()), {
    message: `http_server[0].ssl_cert: "${where.certificateFile}" cannot be used: the certificate of the server must come first`,
  })
})

t.test('the error for a pair that cannot be used names key, file and reason', async t => {
  const where = files(t)
  const { certificateFile, keyFile } = where
  const key = `http_server[0].ssl_key: "${keyFile}" cannot be used: `
  const certificate = `http_server[0].ssl_cert: "${certificateFile}" cannot be used: `
  const refused = (message: string | RegExp) => {
    t.throws(() => readKeyPair(where, Date.now()), KeyPairError)
    t.throws(() => readKeyPair(where, Date.now()), { message })
  }
  refused(`${certificate}ENOENT: no such file or directory, open '${certificateFile}'`)
  const own = await writePair(where.folder)
  rmSync(keyFile)
  refused(`${key}ENOENT: no such file or directory, open '${keyFile}'`)

  await writePair(where.folder)
  const other = await makePair()
  writeFileSync(certificateFile, other.certificate)
  refused(`${certificate}it does not belong to the key in "${keyFile}"`)

  writeFileSync(certificateFile, 'no certificate')
  refused(`${certificate}it does not contain a certificate in PEM`)
  writeFileSync(certificateFile, own.replace(/[a-zA-Z0-9]{40}/, 'A'.repeat(40)))
  refused(`${certificate}it contains a damaged certificate`)

  await writePair(where.folder)
  writeFileSync(keyFile, readFileSync(keyFile, 'utf8').slice(0, 60))
  refused(`${key}it does not contain a complete private key in PEM`)
  execFileSync('openssl', ['genrsa', '-aes128', '-passout', 'pass:abcd', '-out', keyFile, '2048'])
  refused(/ssl_key: .* cannot be used: it needs a passphrase/)
})

t.test('an expired certificate is refused, one that is not yet valid is accepted', async t => {
  const where = files(t)
  await writePair(where.folder, makePair(-20, -10))
  t.throws(() => readKeyPair(where, Date.now()), { message: /ssl_cert: .* it expired on 20/ })
  await writePair(where.folder, makePair(10, 20))
  t.ok(readKeyPair(where, Date.now()).notBefore > Date.now())
})

t.test('a key that OpenSSL finds too weak is refused before a server is made with it', async t => {
  const where = files(t)
  execFileSync('openssl', [
    ...['req', '-x509', '-newkey', 'rsa:512', '-nodes', '-subj', '/CN=localhost', '-days', '9'],
    ...['-keyout', where.keyFile, '-out', where.certificateFile],
  ])
  t.throws(() => readKeyPair(where, Date.now()), { message: /OpenSSL refuses it: .*too small/ })
})
