import { X509Certificate } from 'node:crypto'
import { statSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { readKeyPair } from '../../src/tls/key-pair.ts'
import { createSelfSigned } from '../../src/tls/self-signed.ts'
import { launch, temporaryFolder } from '../fixtures/start-tracker.ts'

t.test('a certificate is valid for the given name and address', async t => {
  const named = new X509Certificate((await createSelfSigned({ domain: 'a.example' })).certificate)
  t.equal(named.checkHost('a.example'), 'a.example')
  t.notOk(named.checkHost('b.example'))
  const numbered = new X509Certificate((await createSelfSigned({ domain: '::1' })).certificate)
  t.equal(numbered.checkIP('::1'), '::1')
})

t.test('the command writes a pair that the tracker accepts, and never overwrites one', async t => {
  const folder = temporaryFolder(t)
  const words = ['--create-selfsigned', '--selfsigned-domain', 'tracker.example']
  t.equal(await launch(t, words, folder).ended, 0)
  const files = {
    keyFile: join(folder, 'key.pem'),
    certificateFile: join(folder, 'cert.pem'),
    keyName: 'key',
    certificateName: 'certificate',
  }
  const { certificate } = readKeyPair(files, Date.now())
  t.equal(new X509Certificate(certificate).checkHost('tracker.example'), 'tracker.example')
  t.equal(statSync(files.keyFile).mode & 0o777, 0o600)
  const again = launch(t, words, folder)
  t.equal(await again.ended, 69)
  t.equal(again.stderr(), 'key.pem already exists; remove it first\n')
  t.equal(readKeyPair(files, Date.now()).certificate, certificate)
})
