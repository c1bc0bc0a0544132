import { setImmediate } from 'node:timers/promises'
import { inParts } from '../database/in-parts.ts'
import type { TorrentRow } from '../database/rows.ts'
import type { HashTable } from '../database/table.ts'
import type { Engine } from '../engine/engine.ts'
import {
  deleteTorrent,
  type ListedTorrent,
  readTorrent,
  takeChangedTorrents,
  torrentsOfStripe,
} from '../engine/inspect.ts'
import { readPeers, samplePeerIds } from '../engine/read-peers.ts'
import {
  hasForgotten,
  isShared,
  noteTorrentChanged,
  noteWritten,
  putTorrent,
  releaseTorrent,
  restoreTorrent,
} from '../engine/stored-torrents.ts'
import { formatAddress } from '../protocol/ip.ts'
import { AdminError, type Outcome, type PeerPage, storeFirst, type Torrent } from './admin.ts'

export type TorrentRules = {
  /** Add announced torrents that the database does not have. */
  readonly insertVacant: boolean
  /** Delete the rows of torrents that are deleted through the API. */
  readonly deleteRows: boolean
  /**
   * Delete torrents from the database that had no announce for the timeout. Read once for each
   * pass.
   */
  readonly deleteSilent: boolean
  readonly updateCompleted: boolean
  readonly updatePeers: boolean
  /** Seconds. */
  readonly peersTimeout: number
}

/** Torrents written in one transaction. */
const PART_ROWS_MAX = 1000

/** Stripes processed before other work of this thread runs. */
const STRIPES_AT_ONCE = 8

/** Torrents as an operator sees them, and their counts in the database. */
export class Torrents {
  readonly #engine: Engine
  readonly #rows: HashTable<TorrentRow> | undefined
  readonly #rules: TorrentRules
  readonly #nowSeconds: () => number

  /** `rows` is undefined if torrents are not stored. */
  constructor(
    engine: Engine,
    rows: HashTable<TorrentRow> | undefined,
    rules: TorrentRules,
    nowSeconds: () => number,
  ) {
    this.#engine = engine
    this.#rows = rows
    this.#rules = rules
    this.#nowSeconds = nowSeconds
  }

  /** Torrents by hash, from memory, or else from the database. */
  async of(hashes: readonly string[]): Promise<(Torrent | undefined)[]> {
    const known = hashes.map(hash => {
      const counts = readTorrent(this.#engine, bytesOf(hash))
      return counts && { hash, ...counts, updated: counts.active * 1000 }
    })
    const unknown = hashes.filter((_, n) => known[n] === undefined)
    if (!this.#rows || unknown.length === 0) return known
    const rows = new Map((await this.#rows.find(unknown)).map(row => [row.hash, row]))
    return hashes.map((hash, n) => {
      const row = rows.get(hash)
      const stored = row && { hash, seeders: 0, leechers: 0, completed: row.completed, updated: 0 }
      return known[n] ?? stored
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
    const known = await this.of(entries.map(([hash]) => hash))
    const counts = entries.map(([hash, completed], n) => ({
      hash,
      seeds: known[n]?.seeders ?? 0,
      peers: known[n]?.leechers ?? 0,
      completed: completed ?? known[n]?.completed ?? 0,
    }))
    await storeFirst(this.#rows?.save(counts))
    return entries.map(([hash, completed], n) => {
      const count = completed ?? known[n]?.completed
      const atLeast = completed === undefined
      const wasThere = putTorrent(this.#engine, bytesOf(hash), count, this.#nowSeconds(), atLeast)
      // The row is sufficient: its count is added in memory at the torrent's next announce.
      if (wasThere === undefined && !this.#rows) {
        throw new AdminError('database error', 'no memory for torrents')
      }
      return known[n] || wasThere ? 'updated' : 'added'
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
    const { deleteSilent } = this.#rules
    for await (const stripe of this.#eachStripe()) {
      written += await this.#flushStripe(this.#rows, stripe)
      if (deleteSilent) await this.#removeSilent(this.#rows, stripe)
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
  async #flushStripe(table: HashTable<TorrentRow>, stripe: number): Promise<number> {
    const changed = takeChangedTorrents(this.#engine, stripe)
    if (changed.length === 0) return 0
    const fields: (keyof TorrentRow)[] = [
      ...(this.#rules.updateCompleted ? (['completed'] as const) : []),
      ...(this.#rules.updatePeers ? (['seeds', 'peers'] as const) : []),
    ]
    const left = new Set(changed)
    // Each part is a transaction: what is written must not be added again.
    const writeParts = async (
      torrents: readonly ListedTorrent[],
      write: (part: readonly ListedTorrent[]) => Promise<void>,
    ) => {
      for (const part of inParts(torrents, PART_ROWS_MAX)) {
        await write(part)
        for (const torrent of part) left.delete(torrent)
      }
      return torrents.length
    }
    try {
      const restored = await this.#restoreForgotten(table, stripe, changed)
      const isStored = ({ isKept, hash }: ListedTorrent) =>
        isKept || restored.has(hash.toString('hex'))
      const others = changed.filter(torrent => !isStored(torrent))
      const vacant = this.#rules.insertVacant ? this.#enterable(others) : []
      const updated = await writeParts(changed.filter(isStored), async part => {
        await table.count(part.map(rowOf), fields, 'completed')
        if (this.#rules.updateCompleted) this.#noteWritten(part)
      })
      return updated + (await writeParts(vacant, part => this.#enter(table, part)))
    } catch (error) {
      for (const { hash } of left) noteTorrentChanged(this.#engine, hash)
      throw error
    }
  }

  /** Adds torrents to the database, which then stay in memory without peers. */
  async #enter(table: HashTable<TorrentRow>, torrents: readonly ListedTorrent[]): Promise<void> {
    const rows = torrents.map(rowOf)
    await table.enter(
      rows.map(row => ({ ...row, completed: Math.max(0, row.completed) })),
      'completed',
    )
    for (const { hash } of torrents) putTorrent(this.#engine, hash, undefined, this.#nowSeconds())
    this.#noteWritten(torrents)
  }

  #noteWritten(torrents: readonly ListedTorrent[]): void {
    for (const { hash, unwritten } of torrents) noteWritten(this.#engine, hash, unwritten)
  }

  /**
   * Finds the torrents that were evicted from memory and announced again since, and adds their
   * counts in the database. Returns their hashes.
   */
  async #restoreForgotten(
    table: HashTable<TorrentRow>,
    stripe: number,
    changed: readonly ListedTorrent[],
  ): Promise<Set<string>> {
    const restored = new Set<string>()
    if (!hasForgotten(this.#engine, stripe)) return restored
    const unknown = changed.filter(({ isKept }) => !isKept).map(({ hash }) => hash.toString('hex'))
    if (unknown.length === 0) return restored
    for (const { hash, completed } of await table.find(unknown)) {
      const sum = restoreTorrent(this.#engine, bytesOf(hash), completed)
      if (sum !== undefined) restored.add(hash)
    }
    return restored
  }

  /**
   * The torrents that may be added to the database. Where anyone may announce, these are the ones
   * with peers of several addresses: one client can make up any number of torrents. The others stay
   * marked until they have peers of a second address, or are removed.
   */
  #enterable(vacant: ListedTorrent[]): ListedTorrent[] {
    const { keys, users, whitelist } = this.#engine.access.rules
    if (keys || users || whitelist) return vacant
    return vacant.filter(({ hash }) => {
      if (isShared(this.#engine, hash)) return true
      noteTorrentChanged(this.#engine, hash)
      return false
    })
  }

  /** Removes torrents without announces from the database; the sweep then removes them here. */
  async #removeSilent(table: HashTable<TorrentRow>, stripe: number): Promise<void> {
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

/** The row with the downloads that are to be added to the count of the database. */
function rowOf({ hash, seeders, leechers, unwritten }: ListedTorrent): TorrentRow {
  return { hash: hash.toString('hex'), seeds: seeders, peers: leechers, completed: unwritten }
}

function peersOf(torrent: ListedTorrent | undefined): number {
  return torrent ? torrent.seeders + torrent.leechers : 0
}

function withPort(address: Buffer, port: number): string {
  const text = formatAddress(address, 0, address.length)
  return address.length === 4 ? `${text}:${port}` : `[${text}]:${port}`
}
