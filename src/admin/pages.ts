import { type AccessTable, eachEntry, entryKey } from '../engine/access-tables.ts'
import type { Engine } from '../engine/engine.ts'
import { torrentsOfStripe } from '../engine/inspect.ts'
import type { EntryList, HashPage } from './admin.ts'

/**
 * Returns a page of the hashes of a list, or undefined for an invalid cursor. Entries of a hash
 * table are in the order of their hashes, and their cursor is the last hash. Torrents are in the
 * order of their stripes, which never changes; their cursor is the number of the next stripe.
 */
export function readPage(
  engine: Engine,
  list: EntryList,
  cursor: string,
  count: number,
): HashPage | undefined {
  if (list === 'torrents') return pageOfTorrents(engine, cursor, count)
  if (cursor !== '' && !/^[0-9a-f]{40}$/.test(cursor)) return undefined
  const { access } = engine
  const tables = {
    whitelist: access.whitelist,
    blacklist: access.blacklist,
    keys: access.keys,
    users: access.userKeys,
  }
  return pageOfTable(tables[list], cursor, count)
}

function pageOfTorrents(engine: Engine, cursor: string, count: number): HashPage | undefined {
  let stripe = cursor === '' ? 0 : Number(cursor)
  if (!/^\d{0,5}$/.test(cursor) || stripe >= engine.stripeCount) return undefined
  const hashes: string[] = []
  while (stripe < engine.stripeCount && hashes.length < count) {
    for (const { hash } of torrentsOfStripe(engine, stripe, () => true)) {
      hashes.push(hash.toString('hex'))
    }
    stripe++
  }
  return stripe < engine.stripeCount ? { hashes, next: String(stripe) } : { hashes }
}

/** Hashes are grouped by their first 16 bits, so that only those of a page must be sorted. */
const GROUPS = 2 ** 16

/**
 * Two passes over the table: the first one finds the groups that fill the page, the second one
 * collects and sorts their hashes.
 */
function pageOfTable(table: AccessTable, cursor: string, count: number): HashPage {
  const groups = new Uint32Array(GROUPS)
  eachEntry(table, key => {
    const group = groupOf(key)
    if (key > cursor) groups[group] = (groups[group] ?? 0) + 1
  })
  let last = 0
  for (let found = 0; last < GROUPS - 1; last++) {
    found += groups[last] ?? 0
    if (found > count) break
  }
  const hashes: string[] = []
  eachEntry(table, key => {
    if (key > cursor && groupOf(key) <= last) hashes.push(key)
  })
  hashes.sort()
  const next = hashes.length > count ? hashes[count - 1] : undefined
  const page = hashes.slice(0, count).map(hex => entryKey(table, hex))
  return next === undefined ? { hashes: page } : { hashes: page, next }
}

function groupOf(key: string): number {
  return Number.parseInt(key.slice(0, 4), 16)
}
