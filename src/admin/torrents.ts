import { setImmediate } from 'node:timers/promises'
import type { Table, TorrentRow } from '../database/database.ts'
import type { Engine } from '../engine/engine.ts'
import {
  deleteTorrent,
  type ListedTorrent,
  noteTorrentChanged,
  putTorrent,
  readPeers,
  readTorrent,
  releaseTorrent,
  samplePeerIds,
  takeChangedTorrents,
  torrentsOfStripe,
} from '../engine/inspect.ts'
import { TorrentFlag } from '../engine/tables/layout.ts'
import { formatAddress } from '../protocol/ip.ts'
import { AdminError, type Outcome, type PeerPage, type Torrent } from './admin.ts'
import { keptFirst } from './kept-first.ts'

export type TorrentRules = {
  /** Add torrents that the database has not yet. */
  readonly insertVacant: boolean
  /** Take torrents out of the database when nobody announced to them for the timeout. */
  readonly removeAction: boolean
  readonly updateCompleted: boolean
  readonly updatePeers: boolean
  /** Seconds. */
  readonly peersTimeout: number
}

/** Torrents as an operator sees them, and their counts in the database. */
export type Torrents = {
  of(hashes: readonly string[]): (Torrent | undefined)[]
  peers(hash: string, cursor: number, count: number): PeerPage
  set(entries: readonly (readonly [hash: string, completed?: number])[]): Promise<Outcome[]>
  remove(hashes: readonly string[]): Promise<Outcome[]>
  top(count: number): Promise<Torrent[]>
  /** Peer ids of so many of a torrent's peers, of all of them where there are fewer. */
  sample(hash: string, count: number): string[]
  load(): Promise<number>
  /** Writes what announces changed to the database. Rejects when that fails, and tries the same again with the next call. */
  flush(): Promise<number>
}

/** Stripes looked at before others of this thread get their turn. */
const STRIPES_AT_ONCE = 32

export function createTorrents(
  engine: Engine,
  rows: Table<TorrentRow> | undefined,
  rules: TorrentRules,
  nowSeconds: () => number,
): Torrents {
  const bytesOf = (hash: string) => Buffer.from(hash, 'hex')

  async function* eachStripe(): AsyncGenerator<number> {
    for (let stripe = 0; stripe < engine.stripeCount; stripe++) {
      yield stripe
      if (stripe % STRIPES_AT_ONCE === STRIPES_AT_ONCE - 1) await setImmediate()
    }
  }

  /** Writes the changed torrents of one stripe; what is not written is marked again. */
  async function flushStripe(table: Table<TorrentRow>, stripe: number): Promise<number> {
    const changed = takeChangedTorrents(engine, stripe)
    if (changed.length === 0) return 0
    const isKept = ({ flags }: ListedTorrent) => (flags & TorrentFlag.kept) !== 0
    const kept = changed.filter(isKept).map(rowOf)
    const vacant = rules.insertVacant ? changed.filter(torrent => !isKept(torrent)) : []
    const fields: (keyof TorrentRow)[] = [
      ...(rules.updateCompleted ? (['completed'] as const) : []),
      ...(rules.updatePeers ? (['seeds', 'peers'] as const) : []),
    ]
    try {
      if (kept.length > 0) await table.update(kept, fields)
      if (vacant.length > 0) await table.save(vacant.map(rowOf))
    } catch (error) {
      for (const { hash } of changed) noteTorrentChanged(engine, hash)
      throw error
    }
    for (const { hash } of vacant) putTorrent(engine, hash, undefined, nowSeconds())
    return kept.length + vacant.length
  }

  /** Takes out of the database what nobody announces to any more; the sweep then forgets it. */
  async function removeSilent(table: Table<TorrentRow>, stripe: number): Promise<void> {
    const limit = nowSeconds() - rules.peersTimeout
    const silent = torrentsOfStripe(
      engine,
      stripe,
      ({ peers, active, flags }) => peers === 0 && active < limit && flags === TorrentFlag.kept,
    )
    if (silent.length === 0) return
    await table.remove(silent.map(({ hash }) => hash.toString('hex')))
    for (const { hash } of silent) releaseTorrent(engine, hash)
  }

  return {
    of: hashes =>
      hashes.map(hash => {
        const counts = readTorrent(engine, bytesOf(hash))
        return counts && { hash, ...counts, updated: counts.active * 1000 }
      }),
    peers(hash, cursor, count) {
      const { peers, next } = readPeers(engine, bytesOf(hash), cursor, count)
      return {
        next,
        peers: peers.map(({ id, address, port, seen, ...counts }) => ({
          id: id.toString('hex'),
          address: withPort(address, port),
          updated: seen * 1000,
          ...counts,
        })),
      }
    },
    async set(entries) {
      const counts = entries.map(([hash, completed]) => {
        const known = readTorrent(engine, bytesOf(hash))
        return {
          hash,
          seeds: known?.seeders ?? 0,
          peers: known?.leechers ?? 0,
          completed: completed ?? known?.completed ?? 0,
        }
      })
      await keptFirst(rows?.save(counts))
      return entries.map(([hash, completed]) => {
        const known = putTorrent(engine, bytesOf(hash), completed, nowSeconds())
        if (known === undefined) throw new AdminError('database error', 'no memory for torrents')
        return known ? 'updated' : 'added'
      })
    },
    async remove(hashes) {
      await keptFirst(rows?.remove(hashes))
      return hashes.map(hash => (deleteTorrent(engine, bytesOf(hash)) ? 'deleted' : 'unknown'))
    },
    async top(count) {
      let top: ListedTorrent[] = []
      for await (const stripe of eachStripe()) {
        // Most torrents are as large as others: once there are enough of those, only larger ones are looked at closely.
        const least = top.length < count ? 1 : peersOf(top[count - 1]) + 1
        top.push(...torrentsOfStripe(engine, stripe, ({ peers }) => peers >= least))
        top = top.sort((a, b) => peersOf(b) - peersOf(a)).slice(0, count)
      }
      return top.map(({ hash, seeders, leechers, completed, active }) => ({
        hash: hash.toString('hex'),
        seeders,
        leechers,
        completed,
        updated: active * 1000,
      }))
    },
    sample: (hash, count) =>
      samplePeerIds(engine, bytesOf(hash), count).map(id => id.toString('hex')),
    async load() {
      let loaded = 0
      if (!rows) return loaded
      for await (const chunk of rows.load()) {
        // A snapshot may have brought a count that is further than the database.
        for (const { hash, completed } of chunk)
          putTorrent(engine, bytesOf(hash), completed, nowSeconds(), true)
        loaded += chunk.length
      }
      return loaded
    },
    async flush() {
      let written = 0
      if (!rows) return written
      for await (const stripe of eachStripe()) {
        written += await flushStripe(rows, stripe)
        if (rules.removeAction) await removeSilent(rows, stripe)
      }
      return written
    },
  }
}

function rowOf({ hash, seeders, leechers, completed }: ListedTorrent): TorrentRow {
  return { hash: hash.toString('hex'), seeds: seeders, peers: leechers, completed }
}

function peersOf(torrent: ListedTorrent | undefined): number {
  return torrent ? torrent.seeders + torrent.leechers : 0
}

function withPort(address: Buffer, port: number): string {
  const text = formatAddress(address, 0, address.length)
  return address.length === 4 ? `${text}:${port}` : `[${text}]:${port}`
}
