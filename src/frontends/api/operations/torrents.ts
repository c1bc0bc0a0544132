import type { Admin, Outcome, Peer, PeerPage, Torrent } from '../../../admin/admin.ts'
import { clientOfPeerId } from '../../../protocol/peer-client.ts'
import { type Call, type Handler, inBatches } from '../call.ts'
import { invalid, isHash, readCount, readHash, uniqueHashes } from '../hashes.ts'
import { CHUNK_CHARACTERS, COUNT_MAX, PAGE_PEERS, TORRENTS_PER_CALL } from '../limits.ts'
import {
  BAD_JSON_BODY,
  bulkReply,
  type Chunks,
  chunkedReply,
  OK,
  type Reply,
  removedStatus,
  repeatReply,
  statusReply,
} from '../replies.ts'

export const torrentHandlers: Record<string, Handler> = {
  async getTorrent({ admin, param }) {
    const hash = readHash(param('infohash'), 'info_hash')
    if (typeof hash !== 'string') return hash
    const [torrent] = await admin.torrents([hash])
    if (!torrent) return statusReply(404, `unknown info_hash ${hash}`)
    return chunkedReply(oneTorrent(admin, torrent, DOCUMENTED))
  },

  postTorrent: call => setTorrent(call, undefined),

  async postTorrentCompleted(call) {
    const completed = readCount(call.param('completed'), 'completed', COUNT_MAX)
    return typeof completed === 'number' ? setTorrent(call, completed) : completed
  },

  async deleteTorrent({ admin, param, repeatStatus }) {
    const hash = readHash(param('infohash'), 'info_hash')
    if (typeof hash !== 'string') return hash
    const [outcome] = await admin.removeTorrents([hash])
    return outcome === 'deleted' ? OK : repeatReply(repeatStatus, 304, `unknown info_hash ${hash}`)
  },

  async getTorrents({ admin, body }) {
    const named = uniqueHashes(body as string[]).map(hash => [hash, hash] as const)
    return chunkedReply(manyTorrents(admin, named, DOCUMENTED))
  },

  async postTorrents({ admin, body }) {
    const entries = new Map<string, number>()
    for (const [text, completed] of Object.entries(body as Record<string, number>)) {
      if (!isHash(text)) return invalid('info_hash', text)
      if (completed < 0 || completed > COUNT_MAX) return BAD_JSON_BODY
      entries.set(text.toLowerCase(), completed)
    }
    const list = [...entries]
    const outcomes = await inBatches(list, batch => admin.setTorrents(batch))
    return bulkReply('torrents', [...entries.keys()], (_, n) => setText(outcomes[n]))
  },

  async deleteTorrents({ admin, body }) {
    const hashes = uniqueHashes(body as string[])
    const outcomes = await inBatches(hashes, batch => admin.removeTorrents(batch))
    return bulkReply('torrents', hashes, (_, n) => removedStatus(outcomes[n], 'info_hash'))
  },
}

async function setTorrent(
  { admin, param, repeatStatus }: Call,
  completed: number | undefined,
): Promise<Reply> {
  const hash = readHash(param('infohash'), 'info_hash')
  if (typeof hash !== 'string') return hash
  const [outcome] = await admin.setTorrents([completed === undefined ? [hash] : [hash, completed]])
  return outcome === 'added' ? OK : repeatReply(repeatStatus, 304, `info_hash updated ${hash}`)
}

/** Text of a bulk answer for an added info hash. */
export function setText(outcome: Outcome | undefined): string {
  return outcome === 'added' ? 'ok' : 'info_hash updated'
}

/** How a torrent is written in an answer. */
export type TorrentShape = {
  readonly peer: (peer: Peer) => object
  /** JSON members that precede the others of each torrent of a bulk answer. */
  readonly head: string
}

const DOCUMENTED: TorrentShape = { peer: peerJson, head: '' }

export async function* oneTorrent(admin: Admin, torrent: Torrent, shape: TorrentShape): Chunks {
  const first = await admin.torrentPeers(torrent.hash, 0, PAGE_PEERS)
  let text = '{"status":"ok",'
  for await (const chunk of torrentMembers({ admin, shape, torrent }, first)) {
    yield text + chunk
    text = ''
  }
  yield '}'
}

/**
 * Omits unknown torrents. Reads small torrents together, up to one page of peers. Each torrent is a
 * pair of its name in the answer and its info hash.
 */
export async function* manyTorrents(
  admin: Admin,
  named: readonly (readonly [name: string, hash: string])[],
  shape: TorrentShape,
): Chunks {
  let text = '{"status":"ok","torrents":{'
  let separator = ''
  for (let n = 0; n < named.length; n += TORRENTS_PER_CALL) {
    const part = named.slice(n, n + TORRENTS_PER_CALL)
    const torrents = await admin.torrents(part.map(([, hash]) => hash))
    const found = part.flatMap(([name], index) => {
      const torrent = torrents[index]
      return torrent ? [{ ...torrent, name }] : []
    })
    for (const group of groupByPeers(found)) {
      const pages = await Promise.all(group.map(torrent => firstPage(admin, torrent)))
      for (const [index, torrent] of group.entries()) {
        text += `${separator}"${torrent.name}":{${shape.head}`
        separator = ','
        const first = pages[index] ?? NO_PEERS
        for await (const chunk of torrentMembers({ admin, shape, torrent }, first)) {
          text += chunk
          if (text.length < CHUNK_CHARACTERS) continue
          yield text
          text = ''
        }
        text += '}'
      }
    }
  }
  yield `${text}}}`
}

const NO_PEERS: PeerPage = { peers: [], next: -1 }

function firstPage(admin: Admin, torrent: Torrent): Promise<PeerPage> {
  if (torrent.seeders + torrent.leechers === 0) return Promise.resolve(NO_PEERS)
  return admin.torrentPeers(torrent.hash, 0, PAGE_PEERS)
}

/** Groups neighbours with at most one page of peers together. A larger torrent is its own group. */
function groupByPeers<Listed extends Torrent>(torrents: readonly Listed[]): Listed[][] {
  const groups: Listed[][] = []
  let peersInGroup = Number.POSITIVE_INFINITY
  for (const torrent of torrents) {
    const peers = torrent.seeders + torrent.leechers
    if (peersInGroup + peers > PAGE_PEERS) {
      groups.push([])
      peersInGroup = 0
    }
    groups.at(-1)?.push(torrent)
    peersInGroup += peers
  }
  return groups
}

/**
 * Yields `"seeds":[…],"peers":[…],"completed":…,"updated":…`, one page of peers at a time. A
 * leecher that becomes a seeder during the read may come after the last seeder. It stays in
 * `peers`, with `left` 0.
 */
async function* torrentMembers(
  { admin, shape, torrent }: { admin: Admin; shape: TorrentShape; torrent: Torrent },
  first: PeerPage,
): Chunks {
  let text = '"seeds":['
  let separator = ''
  let atSeeds = true
  for (let page = first; ; page = await admin.torrentPeers(torrent.hash, page.next, PAGE_PEERS)) {
    for (const peer of page.peers) {
      if (atSeeds && peer.left > 0) {
        text += '],"peers":['
        separator = ''
        atSeeds = false
      }
      text += separator + JSON.stringify(shape.peer(peer))
      separator = ','
    }
    if (page.next === -1) break
    if (text !== '') yield text
    text = ''
  }
  if (atSeeds) text += '],"peers":['
  yield `${text}],"completed":${torrent.completed},"updated":${torrent.updated}`
}

export function peerJson({ id, address, updated, uploaded, downloaded, left }: Peer): object {
  return {
    peer_id: { id, client: clientOfPeerId(id) },
    peer_addr: address,
    updated,
    uploaded,
    downloaded,
    left,
  }
}
