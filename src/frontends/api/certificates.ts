import type { Handler } from './call.ts'
import { jsonReply } from './replies.ts'

/** The TLS certificates of all servers, wherever they are. */
export type Certificates = {
  list(): Promise<readonly Certificate[]>
  /** Reads again those that the filter fits. */
  reload(filter: CertificateFilter): Promise<readonly CertificateReload[]>
}

export type Certificate = {
  readonly serverType: 'http' | 'api'
  /** `address:port`. */
  readonly bindAddress: string
  readonly certPath: string
  readonly keyPath: string
  /** Unix milliseconds. */
  readonly loadedAt: number
}

/** What is undefined fits all. */
export type CertificateFilter = {
  readonly serverType?: string | undefined
  readonly bindAddress?: string | undefined
}

export type CertificateReload = Pick<Certificate, 'serverType' | 'bindAddress' | 'loadedAt'> & {
  /** Why the old one is still in use. */
  readonly error?: string
}

/** Where no server has TLS. */
export const NO_CERTIFICATES: Certificates = {
  list: () => Promise.resolve([]),
  reload: () => Promise.resolve([]),
}

type ReloadBody = { server_type?: string; bind_address?: string }

export const certificateHandlers: Record<string, Handler> = {
  async getCertificates({ certificates }) {
    const list = await certificates.list()
    return jsonReply({
      status: 'ok',
      certificates: list.map(certificate => ({
        server_type: certificate.serverType,
        bind_address: certificate.bindAddress,
        cert_path: certificate.certPath,
        key_path: certificate.keyPath,
        loaded_at: isoTime(certificate.loadedAt),
      })),
    })
  },

  async reloadCertificates({ certificates, body }) {
    const filter = (body ?? {}) as ReloadBody
    const results = await certificates.reload({
      serverType: filter.server_type,
      bindAddress: filter.bind_address,
    })
    if (results.length === 0) {
      return jsonReply({
        status: 'no_certificates',
        message: 'No SSL certificates found to reload',
      })
    }
    const failed = results.filter(({ error }) => error !== undefined)
    const reloaded = results.filter(({ error }) => error === undefined)
    return jsonReply({
      status: failed.length === 0 ? 'ok' : reloaded.length === 0 ? 'failed' : 'partial',
      reloaded: reloaded.map(result => ({
        server_type: result.serverType,
        bind_address: result.bindAddress,
        loaded_at: isoTime(result.loadedAt),
      })),
      errors: failed.map(({ serverType, bindAddress, error }) => ({
        server_type: serverType,
        bind_address: bindAddress,
        error,
      })),
    })
  },
}

function isoTime(milliseconds: number): string {
  return new Date(milliseconds).toISOString()
}
