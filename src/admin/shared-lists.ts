import type { Database } from '../database/database.ts'
import type { KeyRow, ListRow } from '../database/rows.ts'
import {
  type AccessTable,
  ENTRY_VALUE_MAX,
  eachEntry,
  entryCount,
  entryKey,
  readEntry,
  setEntry,
} from '../engine/access-tables.ts'
import type { Engine } from '../engine/engine.ts'
import type { Admin, ListName, ReloadedLists } from './admin.ts'
import { packed, UNPACKED } from './packed-entries.ts'

/**
 * Calls of Admin that change what all nodes share. Each ends with a list of entries, or has none.
 */
const SHARED = [
  'addListed',
  'removeListed',
  'clearList',
  'setKeys',
  'removeKeys',
  'clearKeys',
  'setTorrents',
  'removeTorrents',
  'setUsers',
  'removeUsers',
  'clearUsers',
  'clearFlags',
  'setFactors',
  'removeFactors',
] as const
type SharedName = (typeof SHARED)[number]

/** A change of one node, for the others. */
export type Change = { readonly op: SharedName; readonly args: readonly unknown[] }

/** Entries of one change: a message to the other nodes has at most 1 MiB. */
const ENTRIES_MAX = 5000
const TEXT_LENGTH_MAX = 128

export type SharedListsOptions = {
  readonly engine: Engine
  /** Undefined where nothing is stored. */
  readonly database: Database | undefined
  /** Whether the database has the entries of a list. */
  readonly isStored: Readonly<Record<ListName | 'keys' | 'users', boolean>>
  /** Changes database and tables. */
  readonly admin: Admin
  /** Changes the tables alone. */
  readonly local: Admin
  /** Reads users and factors again; entries that `isNewer` holds for stay. */
  readonly readUsers: (isNewer: (name: string) => boolean) => Promise<void>
}

/**
 * Lists, keys and users of several nodes with one database: a change is sent to the others, which
 * apply it to their tables, and all entries can be read again where a change may have been missed.
 */
export class SharedLists {
  readonly #options: SharedListsOptions
  readonly #changed = new Set<string>()
  #reading: Promise<ReloadedLists> | undefined
  /** Sends a change to the other nodes. */
  publish: (change: Change) => void = () => {}
  /** Has the other nodes read their lists again, too. */
  publishReload: () => void = () => {}
  /** Admin whose changes reach all nodes. */
  readonly admin: Admin

  constructor(options: SharedListsOptions) {
    this.#options = options
    const shared = Object.fromEntries(SHARED.map(op => [op, this.#sharing(op)]))
    this.admin = { ...options.admin, ...(shared as Pick<Admin, SharedName>) }
  }

  #sharing(op: SharedName): (...args: unknown[]) => Promise<unknown> {
    const call = this.#options.admin[op] as (...args: unknown[]) => Promise<unknown>
    return async (...given) => {
      const args = given.map(packed)
      this.#note(args)
      const result = await call(...given)
      const entries = args.at(-1)
      if (!Array.isArray(entries)) this.publish({ op, args })
      else {
        for (let n = 0; n < entries.length; n += ENTRIES_MAX) {
          const part = entries.slice(n, n + ENTRIES_MAX)
          this.publish({ op, args: [...args.slice(0, -1), part] })
        }
      }
      return result
    }
  }

  /** Applies a change of another node. Rejects if it is malformed. */
  async apply(change: unknown): Promise<void> {
    const { args, op } = (change ?? {}) as Partial<Change>
    if (!SHARED.some(name => name === op) || !Array.isArray(args) || !areArguments(args)) {
      throw new Error('the change is malformed')
    }
    this.#note(args)
    const call = this.#options.local[op as SharedName] as (...args: unknown[]) => Promise<unknown>
    const unpack = UNPACKED[op as SharedName]
    const restore = (arg: unknown) => {
      const entry = restored(arg)
      return unpack && Array.isArray(entry) ? entry.map(unpack) : entry
    }
    await call(...args.map(restore))
  }

  /** Notes the changed entries while the database is read, which leaves them unchanged. */
  #note(args: readonly unknown[]): void {
    if (!this.#reading) return
    const entries = args.at(-1)
    for (const entry of Array.isArray(entries) ? entries : [entries]) {
      this.#changed.add(Array.isArray(entry) ? String(entry[0]) : String(entry))
    }
  }

  /**
   * Reads whitelist, blacklist, keys and users from the database and makes the tables equal to it:
   * entries that the database does not have are removed. Calls meanwhile get the same result.
   */
  read(): Promise<ReloadedLists> {
    this.#reading ??= this.#read().finally(() => {
      this.#reading = undefined
      this.#changed.clear()
    })
    return this.#reading
  }

  async #read(): Promise<ReloadedLists> {
    const { access } = this.#options.engine
    for (const list of ['whitelist', 'blacklist'] as const) await this.#readList(list)
    await this.#readKeys()
    if (this.#options.isStored.users) {
      await this.#options.readUsers(name => this.#changed.has(name))
    }
    return {
      whitelist: entryCount(access.whitelist),
      blacklist: entryCount(access.blacklist),
      keys: entryCount(access.keys),
    }
  }

  async #readList(list: ListName): Promise<void> {
    const { database, engine, isStored, local } = this.#options
    if (!database || !isStored[list]) return
    const table = engine.access[list]
    const rows = await rowsOf<ListRow>(database[list].load())
    const missing = [...rows.keys()].filter(
      hash => readEntry(table, hash) === undefined && !this.#changed.has(hash),
    )
    await local.addListed(list, missing)
    await local.removeListed(list, this.#staleOf(table, rows))
  }

  async #readKeys(): Promise<void> {
    const { database, engine, isStored, local } = this.#options
    if (!database || !isStored.keys) return
    const table = engine.access.keys
    const rows = await rowsOf<KeyRow>(database.keys.load())
    for (const { hash, timeout } of rows.values()) {
      if (!this.#changed.has(hash)) setEntry(table, hash, timeout > ENTRY_VALUE_MAX ? 0 : timeout)
    }
    await local.removeKeys(this.#staleOf(table, rows))
  }

  #staleOf(table: AccessTable, rows: ReadonlyMap<string, unknown>): string[] {
    const stale: string[] = []
    eachEntry(table, hex => {
      const key = entryKey(table, hex)
      if (!rows.has(key) && !this.#changed.has(key)) stale.push(key)
    })
    return stale
  }
}

async function rowsOf<Row extends { readonly hash: string }>(
  chunks: AsyncIterable<readonly Row[]>,
): Promise<Map<string, Row>> {
  const rows = new Map<string, Row>()
  for await (const chunk of chunks) for (const row of chunk) rows.set(row.hash, row)
  return rows
}

/** JSON has null for an undefined number of downloads. */
function restored(arg: unknown): unknown {
  if (Array.isArray(arg)) return arg.map(restored)
  return arg ?? undefined
}

/** Whether these are texts, numbers and lists of them, as the calls have. */
function areArguments(args: readonly unknown[]): boolean {
  return args.every(arg => {
    if (Array.isArray(arg)) return arg.length <= ENTRIES_MAX && areArguments(arg)
    if (typeof arg === 'string') return arg.length <= TEXT_LENGTH_MAX
    return arg === null || arg === undefined || Number.isFinite(arg)
  })
}
