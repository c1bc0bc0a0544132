import { EventKind, type EventRecord } from '../engine/event-log.ts'
import { exactJson } from '../json.ts'
import { formatAddress } from '../protocol/ip.ts'

/** The credit of one user in a batch. Bytes are exact; see database/ledger.ts. */
export type CreditedUser = {
  readonly user: string
  readonly uploaded: bigint
  readonly downloaded: bigint
  readonly completed: number
  readonly updated: number
  readonly torrents: ReadonlyMap<string, CreditedTorrent>
}

export type CreditedTorrent = {
  readonly hash: string
  readonly uploaded: bigint
  readonly downloaded: bigint
  readonly creditedUp: bigint
  readonly creditedDown: bigint
  readonly seeding: number
  readonly completed: number
  readonly left: number
}

export type CreditedBatch = { readonly users: readonly CreditedUser[] }

/** Name of each kind in the lines and in the configuration. */
export const KIND_NAMES = Object.fromEntries(
  Object.entries(EventKind).map(([name, kind]) => [kind, name]),
) as Readonly<Record<EventKind, string>>

/** The line of an announce. `user` is the id of the user, null without one. */
export function announceLine(id: string, event: EventRecord, user: string | null): string {
  return JSON.stringify({
    id,
    time: event.time,
    event: KIND_NAMES[event.kind],
    info_hash: event.hash,
    peer_id: event.peerId,
    ip: formatAddress(event.address, 0, event.address.length),
    port: event.port,
    user,
    uploaded: event.uploaded,
    downloaded: event.downloaded,
    left: event.left,
  })
}

/** The line of what a batch credits to one user. */
export function creditedLine(id: string, credited: CreditedUser): string {
  return exactJson({
    id,
    time: credited.updated,
    event: 'credited',
    user: credited.user,
    uploaded: credited.uploaded,
    downloaded: credited.downloaded,
    completed: credited.completed,
    torrents: [...credited.torrents.values()].map(torrent => ({
      info_hash: torrent.hash,
      uploaded: torrent.uploaded,
      downloaded: torrent.downloaded,
      credited_uploaded: torrent.creditedUp,
      credited_downloaded: torrent.creditedDown,
      seeding_seconds: torrent.seeding,
      completed: torrent.completed,
      left: torrent.left,
    })),
  })
}
