import { existsSync, writeFileSync } from 'node:fs'
import { isIP } from 'node:net'
import { unavailableError } from '../errors.ts'

const DAY_MILLIS = 86_400_000
/** Apple's systems do not accept a longer validity. */
const GOOD_FOR_DAYS = 397

export type SelfSignedOptions = {
  /** Host name or IP address that clients connect to. */
  readonly domain: string
  /** Defaults to now; the certificate is valid for 397 days. */
  readonly notBefore?: Date
  readonly notAfter?: Date
}

/** A new P-256 key and a self-signed certificate for it, in PEM. */
export async function createSelfSigned(
  options: SelfSignedOptions,
): Promise<{ readonly key: string; readonly certificate: string }> {
  // Imported here, because only this function needs it and it is slow to load.
  const { generate } = await import('selfsigned')
  const { domain, notBefore = new Date() } = options
  const { notAfter = new Date(notBefore.getTime() + GOOD_FOR_DAYS * DAY_MILLIS) } = options
  const made = await generate([{ name: 'commonName', value: domain }], {
    keyType: 'ec',
    algorithm: 'sha256',
    notBeforeDate: notBefore,
    notAfterDate: notAfter,
    extensions: [
      { name: 'basicConstraints', cA: false },
      { name: 'keyUsage', digitalSignature: true },
      { name: 'extKeyUsage', serverAuth: true },
      {
        name: 'subjectAltName',
        altNames: [isIP(domain) ? { type: 7, ip: domain } : { type: 2, value: domain }],
      },
    ],
  })
  return { key: made.private, certificate: made.cert }
}

/**
 * Writes such a pair to two files that must not exist yet; only the owner can read the key. Throws
 * an OperatorError.
 */
export async function writeSelfSigned(
  domain: string,
  keyFile: string,
  certificateFile: string,
): Promise<void> {
  for (const file of [keyFile, certificateFile]) {
    if (existsSync(file)) throw unavailableError(`${file} already exists; remove it first`)
  }
  const { key, certificate } = await createSelfSigned({ domain })
  try {
    writeFileSync(keyFile, key, { mode: 0o600, flag: 'wx' })
    writeFileSync(certificateFile, certificate, { flag: 'wx' })
  } catch (error) {
    throw unavailableError(`cannot write the certificate: ${(error as Error).message}`)
  }
}
