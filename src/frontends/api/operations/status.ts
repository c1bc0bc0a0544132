import type { Handler } from '../call.ts'
import { jsonReply, OK, statusReply } from '../replies.ts'

export const statusHandlers: Record<string, Handler> = {
  async getMetrics({ admin }) {
    const body = await admin.metrics()
    return { status: 200, type: 'text/plain; version=0.0.4; charset=utf-8', body }
  },

  async getStats({ admin }) {
    return jsonReply(await admin.stats())
  },

  async reloadLists({ admin }) {
    return jsonReply({ status: 'ok', ...(await admin.reloadLists()) })
  },

  getHealth: () => Promise.resolve(OK),

  /** A worker without a connection to the primary is not ready either. */
  async getReady({ admin }) {
    const isReady = await admin.ready().catch(() => false)
    return isReady ? OK : statusReply(503, 'not ready')
  },
}
