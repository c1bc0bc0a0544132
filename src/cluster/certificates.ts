import type { Config } from '../config/config.ts'
import { configError } from '../errors.ts'
import type { Logger } from '../log.ts'
import { type KeyPair, KeyPairError, readKeyPair } from '../tls/key-pair.ts'
import type { Part } from './parts.ts'

const DAY_MILLIS = 86_400_000
/** Tools that renew do it a month before the end: who is warned has a tool that fails, or none. */
const WARNED_DAYS = 21

export type TlsSection = 'http_server' | 'api_server'

/** The key and certificate of every enabled server with TLS, read and checked here, whoever listens with them. */
export type Certificates = Part & {
  /** Of the server at this place of its section; undefined where it speaks no TLS. */
  pairOf(section: TlsSection, n: number): KeyPair | undefined
}

type Held = {
  readonly section: TlsSection
  readonly n: number
  readonly certificateFile: string
  readonly pair: KeyPair
}

/** Reads them all, and warns daily of those that are about to end. Throws an OperatorError that names every fault. */
export function openCertificates(config: Config, log: Logger): Certificates {
  const held = readPairs(config)
  tellOfDates(held, log)
  const timer = setInterval(() => tellOfDates(held, log), DAY_MILLIS)
  return {
    pairOf: (section, n) => held.find(one => one.section === section && one.n === n)?.pair,
    async stop() {
      clearInterval(timer)
    },
  }
}

/** Throws an OperatorError where `openCertificates` would. */
export function checkCertificates(config: Config): void {
  readPairs(config)
}

function readPairs(config: Config): Held[] {
  const held: Held[] = []
  const faults: string[] = []
  for (const section of ['http_server', 'api_server'] as const) {
    config[section].forEach(({ enabled, ssl, ssl_cert, ssl_key }, n) => {
      if (!enabled || !ssl) return
      const files = {
        keyFile: ssl_key,
        certificateFile: ssl_cert,
        keyName: `${section}[${n}].ssl_key`,
        certificateName: `${section}[${n}].ssl_cert`,
      }
      try {
        const pair = readKeyPair(files, Date.now())
        held.push({ section, n, certificateFile: ssl_cert, pair })
      } catch (error) {
        if (!(error instanceof KeyPairError)) throw error
        faults.push(error.message)
      }
    })
  }
  if (faults.length > 0) throw configError(faults)
  return held
}

/** One line for each file that clients do not take, or will soon not. */
function tellOfDates(held: readonly Held[], log: Logger): void {
  const now = Date.now()
  const byFile = new Map(held.map(({ certificateFile, pair }) => [certificateFile, pair]))
  for (const [file, { notAfter, notBefore }] of byFile) {
    const fields = { file, from: isoTime(notBefore), to: isoTime(notAfter) }
    if (notAfter <= now) log.error(fields, 'certificate has ended: clients refuse it')
    else if (notAfter - now <= WARNED_DAYS * DAY_MILLIS)
      log.warn(fields, 'certificate ends soon: renew it')
    else if (notBefore > now) log.warn(fields, 'certificate is not good yet, by the clock here')
  }
}

function isoTime(millis: number): string {
  return new Date(millis).toISOString()
}
