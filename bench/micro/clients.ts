import { NO_ACCOUNTING } from '../../src/engine/accounting.ts'
import { NO_LIMITS } from '../../src/engine/policy.ts'
import type { Bytes } from '../../src/protocol/bytes.ts'
import * as record from '../../src/protocol/records.ts'

export const SETTINGS = {
  interval: 1800,
  intervalJitterPercent: 10,
  peersTimeout: 2700,
  persistent: false,
  notePeers: false,
  sharesDatabase: false,
  limits: NO_LIMITS,
  accounting: NO_ACCOUNTING,
}
/** Unix time of the clients' announces in seconds. */
export const NOW = 1_700_000_000
const NUMWANT = 50

/** Writes the announce of a client. All its fields follow from its number. */
export function writeClient(request: Bytes, client: number, torrents: number): void {
  const { u8, view } = request
  const spread = Math.imul(client, 0x9e3779b1) >>> 0
  // A quarter of the torrents has most of the peers.
  const torrent = (client & 3) === 0 ? spread % torrents : spread % Math.max(1, torrents >> 2)
  u8[record.KIND] = record.Kind.announce
  view.setUint16(record.NUMWANT, NUMWANT, true)
  view.setUint16(record.PORT, 1024 + (client & 0x7fff), true)
  view.setUint32(record.INFO_HASH, Math.imul(torrent, 0x85ebca6b), true)
  view.setUint32(record.INFO_HASH + 4, torrent, true)
  view.setUint32(record.PEER_ID + 8, spread, true)
  view.setUint32(record.PEER_ID + 12, client, true)
  view.setUint32(record.ADDRESS, 0x0a000000 + client)
  view.setUint32(record.LEFT, client % 10 < 7 ? 0 : 4096, true)
}

/** Like writeClient, but the first clients have one torrent each, so every torrent has a peer. */
export function writeMember(request: Bytes, client: number, torrents: number): void {
  writeClient(request, client, torrents)
  if (client >= torrents) return
  request.view.setUint32(record.INFO_HASH, Math.imul(client, 0x85ebca6b), true)
  request.view.setUint32(record.INFO_HASH + 4, client, true)
}
