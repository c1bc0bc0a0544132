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
import { formatAddress } from '../protocol/ip.ts'
import { AdminError, type Outcome, type PeerPage, storeFirst, type Torrent } from './admin.ts'

export type TorrentRules = {
  /** Add announced torrents that the database does not have. */
  readonly insertVacant: boolean
  /** Delete the rows of torrents that are deleted through the API. */
  readonly deleteRows: boolean
  /** Delete torrents from the database that had no announce for the timeout. */
  readonly deleteSilent: boolean
  readonly updateCompleted: boolean
  readonly updatePeers: boolean
  /** Seconds. */
  readonly peersTimeout: number
}

/** Stripes processed before other work of this thread runs. */
const STRIPES_AT_ONCE = 32

/** Torrents as an operator sees them, and their counts in the database. */
export class Torrents {
  readonly #engine: Engine
  readonly #rows: Table<TorrentRow> | undefined
  readonly #rules: TorrentRules
  readonly #nowSeconds: () => number

  /** `rows` is undefined if torrents are not stored. */
  constructor(
    engine: Engine,
    rows: Table<TorrentRow> | undefined,
    rules: TorrentRules,
    nowSeconds: () => number,
  ) {
    this.#engine = engine
    this.#rows = rows
    this.#rules = rules
    this.#nowSeconds = nowSeconds
  }

  of(hashes: readonly string[]): (Torrent | undefined)[] {
    return hashes.map(hash => {
      const counts = readTorrent(this.#engine, bytesOf(hash))
      return counts && { hash, ...counts, updated: counts.active * 1000 }
    })
  }

  peers(hash: string, cursor: number, count: number): PeerPage {
    const { peers, next } = readPeers(this.#engine, bytesOf(hash), cursor, count)
    return {
      next,
      peers: peers.map(({ id, address, port, seen, ...counts }) => ({
        id: id.toString('hex'),
        address: withPort(address, port),
        updated: seen * 1000,
        ...counts,
      })),
    }
  }

  async set(entries: readonly (readonly [hash: string, completed?: number])[]): Promise<Outcome[]> {
    const counts = entries.map(([hash, completed]) => {
      const known = readTorrent(this.#engine, bytesOf(hash))
      return {
        hash,
        seeds: known?.seeders ?? 0,
        peers: known?.leechers ?? 0,
        completed: completed ?? known?.completed ?? 0,
      }
    })
    await storeFirst(this.#rows?.save(counts))
    return entries.map(([hash, completed]) => {
      const known = putTorrent(this.#engine, bytesOf(hash), completed, this.#nowSeconds())
      if (known === undefined) throw new AdminError('database error', 'no memory for torrents')
      return known ? 'updated' : 'added'
    })
  }

  async remove(hashes: readonly string[]): Promise<Outcome[]> {
    if (this.#rules.deleteRows) await storeFirst(this.#rows?.remove(hashes))
    return hashes.map(hash => (deleteTorrent(this.#engine, bytesOf(hash)) ? 'deleted' : 'unknown'))
  }

  /** The torrents with most peers, largest first. */
  async top(count: number): Promise<Torrent[]> {
    let top: ListedTorrent[] = []
    for await (const stripe of this.#eachStripe()) {
      // Most torrents have few peers: once there are enough, only larger ones are collected.
      const least = top.length < count ? 1 : peersOf(top[count - 1]) + 1
      top.push(...torrentsOfStripe(this.#engine, stripe, ({ peers }) => peers >= least))
      top = top.sort((a, b) => peersOf(b) - peersOf(a)).slice(0, count)
    }
    return top.map(({ hash, seeders, leechers, completed, active }) => ({
      hash: hash.toString('hex'),
      seeders,
      leechers,
      completed,
      updated: active * 1000,
    }))
  }

  /** Peer ids of up to `count` of a torrent's peers. */
  sample(hash: string, count: number): string[] {
    return samplePeerIds(this.#engine, bytesOf(hash), count).map(id => id.toString('hex'))
  }

  async load(): Promise<number> {
    let loaded = 0
    if (!this.#rows) return loaded
    for await (const chunk of this.#rows.load()) {
      // A snapshot may have restored a larger count than that of the database.
      for (const { hash, completed } of chunk)
        putTorrent(this.#engine, bytesOf(hash), completed, this.#nowSeconds(), true)
      loaded += chunk.length
    }
    return loaded
  }

  /** Writes changed counts to the database. After a failure, the next call writes them again. */
  async flush(): Promise<number> {
    let written = 0
    if (!this.#rows) return written
    for await (const stripe of this.#eachStripe()) {
      written += await this.#flushStripe(this.#rows, stripe)
      if (this.#rules.deleteSilent) await this.#removeSilent(this.#rows, stripe)
    }
    return written
  }

  async *#eachStripe(): AsyncGenerator<number> {
    for (let stripe = 0; stripe < this.#engine.stripeCount; stripe++) {
      yield stripe
      if (stripe % STRIPES_AT_ONCE === STRIPES_AT_ONCE - 1) await setImmediate()
    }
  }

  /** Writes the changed torrents of one stripe; unwritten ones stay marked. */
  async #flushStripe(table: Table<TorrentRow>, stripe: number): Promise<number> {
    const changed = takeChangedTorrents(this.#engine, stripe)
    if (changed.length === 0) return 0
    const kept = changed.filter(({ isKept }) => isKept).map(rowOf)
    const vacant = this.#rules.insertVacant ? changed.filter(({ isKept }) => !isKept) : []
    const fields: (keyof TorrentRow)[] = [
      ...(this.#rules.updateCompleted ? (['completed'] as const) : []),
      ...(this.#rules.updatePeers ? (['seeds', 'peers'] as const) : []),
    ]
    try {
      if (kept.length > 0) await table.update(kept, fields)
      if (vacant.length > 0) await table.save(vacant.map(rowOf))
    } catch (error) {
      for (const { hash } of changed) noteTorrentChanged(this.#engine, hash)
      throw error
    }
    for (const { hash } of vacant) putTorrent(this.#engine, hash, undefined, this.#nowSeconds())
    return kept.length + vacant.length
  }

  /** Removes torrents without announces from the database; the sweep then removes them here. */
  async #removeSilent(table: Table<TorrentRow>, stripe: number): Promise<void> {
    const limit = this.#nowSeconds() - this.#rules.peersTimeout
    const silent = torrentsOfStripe(
      this.#engine,
      stripe,
      ({ peers, active, isKept, isChanged }) =>
        peers === 0 && active < limit && isKept && !isChanged,
    )
    if (silent.length === 0) return
    await table.remove(silent.map(({ hash }) => hash.toString('hex')))
    for (const { hash } of silent) releaseTorrent(this.#engine, hash)
  }
}

function bytesOf(hash: string): Buffer {
  return Buffer.from(hash, 'hex')
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
