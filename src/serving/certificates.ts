import { randomBytes } from 'node:crypto'
import type { Certificate, CertificateFilter, CertificateReload } from '../admin/admin.ts'
import type { Config } from '../config/config.ts'
import { configError } from '../errors.ts'
import type { Part } from '../lifecycle.ts'
import type { Logger } from '../log.ts'
import { type KeyPair, KeyPairError, readKeyPair } from '../tls/key-pair.ts'

const DAY_MILLIS = 86_400_000
/**
 * Tools renew a certificate a month before its end; a later warning means that the tool fails or is
 * missing.
 */
const WARNED_DAYS = 21

export type TlsSection = 'http_server' | 'api_server'

/**
 * A pair with the keys of session tickets, TICKET_KEYS_BYTES. All workers have the same
 * keys, also after a reload: each resumes the sessions of the others (RFC 5077; RFC 8446, §2.2).
 */
export type ServedPair = KeyPair & { readonly ticketKeys: Uint8Array }

/** Bytes of a name, an HMAC key and an AES key, 16 each. */
const TICKET_KEYS_BYTES = 48

/**
 * The keys and certificates of all enabled servers with TLS. They are read and checked here,
 * whichever process listens with them.
 */
export type Certificates = Part & {
  /** The pair of server `n` of its section; undefined for a server without TLS. */
  pairOf(section: TlsSection, n: number): ServedPair | undefined
  list(): Certificate[]
  /**
   * Reads the selected files again. A server keeps its pair if the new one is not valid. Nothing is
   * in use before `use` is called. Throws an OperatorError if a server would have none.
   */
  reread(config: Config, filter?: CertificateFilter): Reread
}

export type Reread = Pick<Certificates, 'pairOf'> & {
  readonly results: readonly CertificateReload[]
  use(): void
}

type Held = Certificate & {
  readonly section: TlsSection
  readonly n: number
  readonly pair: KeyPair
}

/**
 * Reads all files, and logs a daily warning for certificates that expire soon. Throws an
 * OperatorError that names every fault.
 */
export function openCertificates(config: Config, log: Logger): Certificates {
  let held = readPairs(config, [], {}).held
  const ticketKeys = randomBytes(TICKET_KEYS_BYTES)
  const served = (from: readonly Held[]) => (section: TlsSection, n: number) => {
    const pair = pairIn(from, section, n)
    return pair && { ...pair, ticketKeys }
  }
  logDates(held, log)
  const timer = setInterval(() => logDates(held, log), DAY_MILLIS)
  return {
    pairOf: (section, n) => served(held)(section, n),
    list: () => held.map(({ n, pair, section, ...certificate }) => certificate),
    reread(config, filter = {}) {
      const read = readPairs(config, held, filter)
      return {
        pairOf: served(read.held),
        results: read.results,
        use() {
          held = read.held
          logDates(held, log)
        },
      }
    },
    async stop() {
      clearInterval(timer)
    },
  }
}

/** Throws the OperatorError that `openCertificates` would throw. */
export function checkCertificates(config: Config): void {
  readPairs(config, [], {})
}

function pairIn(held: readonly Held[], section: TlsSection, n: number): KeyPair | undefined {
  return held.find(one => one.section === section && one.n === n)?.pair
}

function readPairs(
  config: Config,
  before: readonly Held[],
  filter: CertificateFilter,
): { readonly held: Held[]; readonly results: CertificateReload[] } {
  const held: Held[] = []
  const results: CertificateReload[] = []
  const faults: string[] = []
  for (const section of ['http_server', 'api_server'] as const) {
    config[section].forEach((server, n) => {
      if (!server.enabled || !server.ssl) return
      const serverType = section === 'http_server' ? 'http' : 'api'
      const bindAddress = server.bind_address
      const old = findOld(before, section, n, bindAddress)
      const { serverType: type = serverType, bindAddress: address = bindAddress } = filter
      if (old && (type !== serverType || address !== bindAddress)) {
        held.push({ ...old, n })
        return
      }
      try {
        const now = Date.now()
        const pair = readKeyPair(filesOf(section, n, server), now)
        const paths = { certPath: server.ssl_cert, keyPath: server.ssl_key }
        held.push({ section, n, pair, serverType, bindAddress, ...paths, loadedAt: now })
        results.push({ serverType, bindAddress, loadedAt: now })
      } catch (error) {
        if (!(error instanceof KeyPairError)) throw error
        if (!old) {
          faults.push(error.message)
          return
        }
        held.push({ ...old, n })
        results.push({ serverType, bindAddress, loadedAt: old.loadedAt, error: error.message })
      }
    })
  }
  if (faults.length > 0) throw configError(faults)
  return { held, results }
}

/** The previous pair of a server: by its index, or by its address if servers were moved. */
function findOld(
  before: readonly Held[],
  section: TlsSection,
  n: number,
  bindAddress: string,
): Held | undefined {
  const own = before.filter(one => one.section === section && one.bindAddress === bindAddress)
  return own.find(one => one.n === n) ?? own[0]
}

type TlsFiles = { readonly ssl_cert: string; readonly ssl_key: string }

function filesOf(section: TlsSection, n: number, { ssl_cert, ssl_key }: TlsFiles) {
  return {
    keyFile: ssl_key,
    certificateFile: ssl_cert,
    keyName: `${section}[${n}].ssl_key`,
    certificateName: `${section}[${n}].ssl_cert`,
  }
}

/** Logs each certificate that clients reject or will reject soon. */
function logDates(held: readonly Held[], log: Logger): void {
  const now = Date.now()
  const byFile = new Map(held.map(({ certPath, pair }) => [certPath, pair]))
  for (const [file, { notAfter, notBefore }] of byFile) {
    const fields = { file, not_before: isoTime(notBefore), not_after: isoTime(notAfter) }
    if (notAfter <= now) log.error(fields, 'certificate has expired; clients will reject it')
    else if (notAfter - now <= WARNED_DAYS * DAY_MILLIS)
      log.warn(fields, 'certificate expires soon: renew it')
    else if (notBefore > now)
      log.warn(fields, 'certificate is not yet valid; check the system clock')
  }
}

function isoTime(millis: number): string {
  return new Date(millis).toISOString()
}
