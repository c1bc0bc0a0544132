import { entryCount } from '../engine/access-tables.ts'
import type { Engine } from '../engine/engine.ts'
import { limitCounts } from '../engine/policy.ts'
import { BLOCK_BYTES_BOUNDS, type Totals, totals } from '../engine/totals.ts'
import type { Samples } from '../metrics/samples.ts'

const PEER_FAMILIES = ['ipv4', 'ipv6', 'websocket'] as const

/** Adds the samples of the tables. `isStored` adds the stripes with unwritten counts. */
export function collectTables(samples: Samples, engine: Engine, isStored: boolean): void {
  const sums = totals(engine)
  samples.add('muster_torrents', sums.torrents)
  for (const [f, family] of PEER_FAMILIES.entries()) {
    samples.add('muster_peers', sums.peers[f] ?? 0, { family })
    samples.add('muster_seeders', sums.seeders[f] ?? 0, { family })
  }
  samples.add('muster_downloads_total', sums.completed)
  for (const reason of ['expired', 'evicted', 'refused'] as const) {
    samples.add('muster_peers_removed_total', sums[reason], { reason })
  }
  for (const [limit, refused] of Object.entries(limitCounts(engine.limits))) {
    samples.add('muster_limited_announces_total', refused, { limit })
  }
  collectMemory(samples, sums)
  const { blacklist, keys, userKeys, whitelist } = engine.access
  for (const [table, entries] of Object.entries({ whitelist, blacklist, keys, users: userKeys })) {
    samples.add('muster_access_entries', entryCount(entries), { table })
  }
  if (isStored) samples.add('muster_database_waiting', sums.stripesChanged, { what: 'torrents' })
}

function collectMemory(samples: Samples, { bytesReserved, bytesTaken, bytesUsed }: Totals): void {
  const used = bytesUsed.reduce((sum, bytes) => sum + bytes, 0)
  samples.add('muster_arena_bytes', bytesReserved, { state: 'reserved' })
  samples.add('muster_arena_bytes', bytesTaken, { state: 'taken' })
  samples.add('muster_arena_bytes', used, { state: 'used' })
  for (const [n, bytes] of bytesUsed.entries()) {
    const bound = BLOCK_BYTES_BOUNDS[n]
    const labels = { up_to: bound === Number.POSITIVE_INFINITY ? '+Inf' : String(bound) }
    samples.add('muster_arena_class_bytes', bytes, labels)
  }
}
