import type { Handler } from '../call.ts'
import { jsonReply } from '../replies.ts'

type ReloadBody = { server_type?: string; bind_address?: string }

export const certificateHandlers: Record<string, Handler> = {
  async getCertificates({ admin }) {
    const list = await admin.certificates()
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

  async reloadCertificates({ admin, body }) {
    const filter = (body ?? {}) as ReloadBody
    const results = await admin.reloadCertificates({
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
