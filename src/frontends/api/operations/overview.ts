import type { Torrent } from '../../../admin/admin.ts'
import type { Handler } from '../call.ts'
import { readHash } from '../hashes.ts'
import { OVERVIEW_PEERS } from '../limits.ts'
import { jsonReply } from '../replies.ts'
import { peerJson } from './torrents.ts'

/** Routes of the dashboard, which Torrust-Actix does not have. */
export const overviewHandlers: Record<string, Handler> = {
  async getOverview({ admin }) {
    const { top, database, ...rest } = await admin.overview()
    return jsonReply({
      status: 'ok',
      ...rest,
      database: database ?? null,
      top: top.map(torrent => ({ info_hash: torrent.hash, ...countsJson(torrent) })),
    })
  },

  /** Answers for unknown torrents too, with their entries in the lists. */
  async getTorrentOverview({ admin, param }) {
    const hash = readHash(param('infohash'), 'info_hash')
    if (typeof hash !== 'string') return hash
    const [[torrent], [isWhitelisted], [isBlacklisted], { peers, next }] = await Promise.all([
      admin.torrents([hash]),
      admin.listed('whitelist', [hash]),
      admin.listed('blacklist', [hash]),
      admin.torrentPeers(hash, 0, OVERVIEW_PEERS),
    ])
    return jsonReply({
      status: 'ok',
      info_hash: hash,
      whitelisted: isWhitelisted === true,
      blacklisted: isBlacklisted === true,
      torrent: torrent ? countsJson(torrent) : null,
      peers: peers.map(peerJson),
      more: next !== -1,
    })
  },
}

export function countsJson({ seeders, leechers, completed, updated }: Torrent): object {
  return { seeders, leechers, completed, updated }
}
