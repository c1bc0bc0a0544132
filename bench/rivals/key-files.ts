import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { generate } from 'selfsigned'
import { createSelfSigned } from '../../src/tls/self-signed.ts'

/** Files of a key and its certificate, by their names in the configuration of a listener. */
export type KeyFiles = { readonly ssl_key: string; readonly ssl_cert: string }

export type KeyType = 'ECDSA P-256' | 'RSA 2048'
export const KEY_TYPES: readonly KeyType[] = ['ECDSA P-256', 'RSA 2048']

const DAY_MILLIS = 86_400_000

/** Writes a new key and a self-signed certificate, valid from yesterday to tomorrow. */
export async function writeKeyFiles(folder: string, type: KeyType): Promise<KeyFiles> {
  const name = type.replaceAll(' ', '-')
  const files = {
    ssl_key: join(folder, `${name}.key.pem`),
    ssl_cert: join(folder, `${name}.cert.pem`),
  }
  const { certificate, key } = await createPair(type)
  writeFileSync(files.ssl_key, key)
  writeFileSync(files.ssl_cert, certificate)
  return files
}

async function createPair(type: KeyType) {
  const notBefore = new Date(Date.now() - DAY_MILLIS)
  const notAfter = new Date(Date.now() + DAY_MILLIS)
  if (type === 'ECDSA P-256') return createSelfSigned({ domain: 'localhost', notBefore, notAfter })
  const made = await generate([{ name: 'commonName', value: 'localhost' }], {
    keyType: 'rsa',
    keySize: 2048,
    algorithm: 'sha256',
    notBeforeDate: notBefore,
    notAfterDate: notAfter,
  })
  return { key: made.private, certificate: made.cert }
}
