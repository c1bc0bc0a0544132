import t from 'tap'
import { reserveTables, stripeHead, viewArena } from '../../../src/engine/tables/arena.ts'
import { DIRECTORY_USED, INDEX_MERGE_AT, STRIPE_USED } from '../../../src/engine/tables/layout.ts'
import {
  createPeerIndex,
  freePeerIndex,
  indexFind,
  indexGrow,
  indexInsert,
  indexMove,
  indexRemove,
  indexShrink,
} from '../../../src/engine/tables/peer-index.ts'
import { NO_SLOT } from '../../../src/engine/tables/references.ts'
import { testSeed } from '../../fixtures/seed.ts'
import { seededRandom } from '../../fixtures/seeded-random.ts'

t.test('an index grows to 300,000 peers and back, one table at a time', async t => {
  const seed = testSeed(t)
  const random = seededRandom(seed)
  const peers = 300_000
  const [memory] = reserveTables(256 * 2 ** 20, [1, 2]).arenas
  if (!memory) throw new Error('no arena')
  const arena = viewArena(memory)
  const stripe = stripeHead(0, 1)
  const hashes = Int32Array.from({ length: peers }, () => random(2 ** 32))
  const hashAt = (slot: number) => hashes[slot] ?? 0
  const tables = (at: number) => arena.u32[(at + DIRECTORY_USED) >> 2] ?? 0
  let index = createPeerIndex(arena, stripe, 500)
  for (let slot = 0; slot < peers; slot++) {
    if (!indexInsert(arena, index, hashAt(slot), slot)) t.fail(`no room for peer ${slot}`)
    const before = tables(index)
    index = indexGrow(arena, stripe, index, slot + 1, hashAt(slot))
    if (tables(index) > before + 1) t.fail('more than one table at once')
  }
  t.ok(tables(index) > peers / 500, `${tables(index)} tables`)
  const finds = (slot: number) => {
    let found = indexFind(arena, index, hashAt(slot), NO_SLOT)
    while (found !== NO_SLOT && found !== slot) found = indexFind(arena, index, hashAt(slot), found)
    return found === slot
  }
  for (let slot = 0; slot < peers; slot++) if (!finds(slot)) t.fail(`peer ${slot} is lost`)
  indexMove(arena, index, hashAt(5), 5, peers + 5)
  t.notOk(finds(5))
  indexMove(arena, index, hashAt(5), peers + 5, 5)
  t.ok(finds(5))
  for (let slot = peers - 1; slot >= 600; slot--) {
    indexRemove(arena, index, hashAt(slot), slot)
    indexShrink(arena, stripe, index, slot)
  }
  t.ok(tables(index) <= 600 / INDEX_MERGE_AT + 1, `${tables(index)} tables are left`)
  for (let slot = 0; slot < 600; slot++) if (!finds(slot)) t.fail(`peer ${slot} is lost`)
  freePeerIndex(arena, stripe, index)
  t.equal(arena.u32[(stripe + STRIPE_USED) >> 2], 0, 'no block is left')
})
