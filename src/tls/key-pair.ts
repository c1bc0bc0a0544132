import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createSecureContext } from 'node:tls'

/** A private key and its certificate chain, both as PEM and checked. */
export type KeyPair = {
  readonly key: string
  readonly certificate: string
  /** Validity period of the certificate in Unix milliseconds. */
  readonly notBefore: number
  readonly notAfter: number
}

/** Paths of the two files, and the configuration keys that set them. */
export type KeyPairFiles = {
  readonly keyFile: string
  readonly certificateFile: string
  readonly keyName: string
  readonly certificateName: string
}

/** The reason why a pair cannot be used: one line that names the key, the file and the fault. */
export class KeyPairError extends Error {
  override readonly name = 'KeyPairError'
}

const CERTIFICATE_BLOCK = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g

/**
 * Reads a pair and checks that TLS can use it at `nowMillis`: both files are complete, match, and
 * have not expired. Throws a KeyPairError.
 */
export function readKeyPair(files: KeyPairFiles, nowMillis: number): KeyPair {
  const keyFault = (reason: string) => fault(files.keyName, files.keyFile, reason)
  const certificateFault = (reason: string) =>
    fault(files.certificateName, files.certificateFile, reason)
  const certificate = readText(files.certificateFile, certificateFault)
  const key = readText(files.keyFile, keyFault)
  const [own, ...others] = parseCertificates(certificate, certificateFault)
  if (!own) throw certificateFault('it does not contain a certificate in PEM')
  const privateKey = parseKey(key, keyFault)
  if (!own.checkPrivateKey(privateKey)) {
    throw certificateFault(
      others.some(other => other.checkPrivateKey(privateKey))
        ? 'the certificate of the server must come first'
        : `it does not belong to the key in ${JSON.stringify(files.keyFile)}`,
    )
  }
  const [notBefore, notAfter] = [Date.parse(own.validFrom), Date.parse(own.validTo)]
  if (notAfter <= nowMillis)
    throw certificateFault(`it expired on ${new Date(notAfter).toISOString()}`)
  try {
    createSecureContext({ key, cert: certificate })
  } catch (error) {
    throw certificateFault(`OpenSSL refuses it: ${(error as Error).message}`)
  }
  return { key, certificate, notBefore, notAfter }
}

function fault(name: string, file: string, reason: string): KeyPairError {
  return new KeyPairError(`${name}: ${JSON.stringify(file)} cannot be used: ${reason}`)
}

function readText(file: string, fault: (reason: string) => KeyPairError): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    throw fault((error as Error).message)
  }
}

function parseCertificates(
  text: string,
  fault: (reason: string) => KeyPairError,
): X509Certificate[] {
  try {
    return (text.match(CERTIFICATE_BLOCK) ?? []).map(block => new X509Certificate(block))
  } catch {
    throw fault('it contains a damaged certificate')
  }
}

function parseKey(text: string, fault: (reason: string) => KeyPairError): KeyObject {
  if (/ENCRYPTED/.test(text))
    throw fault(
      'it needs a passphrase; remove the passphrase, and let only the tracker read the file',
    )
  try {
    return createPrivateKey(text)
  } catch {
    throw fault('it does not contain a complete private key in PEM')
  }
}
