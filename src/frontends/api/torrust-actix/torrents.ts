import type { Peer } from '../../../admin/admin.ts'
import { type Call, type Handler, inBatches } from '../call.ts'
import { readCount } from '../hashes.ts'
import { COUNT_MAX } from '../limits.ts'
import {
  manyTorrents,
  oneTorrent,
  peerJson,
  setText,
  type TorrentShape,
} from '../operations/torrents.ts'
import {
  chunkedReply,
  jsonReply,
  NOT_FOUND,
  OK,
  removedStatus,
  repeatReply,
  statusReply,
} from '../replies.ts'
import { hashesOf, type Named, readHash, splitEntries, statuses } from './entries.ts'

const SHAPE: TorrentShape = {
  head: '"status":"ok",',
  peer: (peer: Peer) => ({ ...peerJson(peer), peer_id: [...Buffer.from(peer.id, 'hex')] }),
}

const INVALID = statusReply(400, 'invalid info_hash')

export const torrentHandlers: Record<string, Handler> = {
  async getTorrent({ admin, param }) {
    const hash = readHash(param('infohash'), 'info_hash')
    if (typeof hash !== 'string') return hash
    const [torrent] = await admin.torrents([hash])
    if (!torrent) return statusReply(404, 'unknown info_hash')
    return chunkedReply(oneTorrent(admin, torrent, SHAPE))
  },

  async postTorrentCompleted({ admin, param, repeatStatus }: Call) {
    const completed = readCount(param('completed'), 'completed')
    if (typeof completed !== 'number') return NOT_FOUND
    const hash = readHash(param('infohash'), 'info_hash')
    if (typeof hash !== 'string') return hash
    const [outcome] = await admin.setTorrents([[hash, Math.min(completed, COUNT_MAX)]])
    return outcome === 'added' ? OK : repeatReply(repeatStatus, 304, 'info_hash updated')
  },

  async deleteTorrent({ admin, param, repeatStatus }) {
    const hash = readHash(param('infohash'), 'info_hash')
    if (typeof hash !== 'string') return hash
    const [outcome] = await admin.removeTorrents([hash])
    return outcome === 'deleted' ? OK : repeatReply(repeatStatus, 304, 'unknown info_hash')
  },

  async getTorrents({ admin, body }) {
    const { named, invalid } = splitEntries(body as string[])
    if (invalid.length > 0) return INVALID
    return chunkedReply(manyTorrents(admin, named, SHAPE))
  },

  async postTorrents({ admin, body }) {
    const counts = body as Record<string, number>
    const { named, invalid } = splitEntries(Object.keys(counts))
    if (invalid.length > 0) return INVALID
    const outcomes = await inBatches(named, batch =>
      admin.setTorrents(
        batch.map(([text, hash]) => [hash, Math.min(counts[text] ?? 0, COUNT_MAX)]),
      ),
    )
    return jsonReply({ status: 'ok', torrents: statuses(named, n => setText(outcomes[n])) })
  },

  async deleteTorrents({ admin, body }) {
    const { named, invalid } = splitEntries(body as string[])
    if (invalid.length > 0) return INVALID
    const outcomes = await inBatches(hashesOf(named), batch => admin.removeTorrents(batch))
    return jsonReply({ status: 'ok', torrents: removed(named, outcomes, 'info_hash') })
  },
}

/** Values of a bulk answer for removed entries. */
export function removed(
  named: readonly Named[],
  outcomes: readonly string[],
  name: string,
): object {
  return statuses(named, n => removedStatus(outcomes[n], name).status)
}
