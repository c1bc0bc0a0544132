import t from 'tap'
import {
  arenaTaken,
  reserveTables,
  stripeHead,
  viewArena,
} from '../../../src/engine/tables/arena.ts'
import {
  allocateBlock,
  blockBytes,
  freeBlock,
  freeBytes,
  resizeInPlace,
} from '../../../src/engine/tables/blocks.ts'
import {
  BLOCK_HEAD_BYTES,
  STRIPE_CHUNKS,
  STRIPE_TAKEN,
  STRIPE_USED,
} from '../../../src/engine/tables/layout.ts'
import { testSeed } from '../../fixtures/seed.ts'
import { seededRandom } from '../../fixtures/seeded-random.ts'

function newArena(bytes: number) {
  const tables = reserveTables(bytes, [1, 2])
  const [memory] = tables.arenas
  if (!memory) throw new Error('no arena')
  return viewArena(memory)
}

t.test(
  'blocks never overlap or change, and no byte is lost, in any order of allocations',
  async t => {
    const seed = testSeed(t)
    const random = seededRandom(seed)
    const arena = newArena(8 * 2 ** 20)
    const stripe = stripeHead(0, 1)
    const word = (at: number) => arena.u32[(stripe + at) >> 2] ?? 0
    const held: { at: number; bytes: number; mark: number }[] = []
    let full = 0
    for (let step = 0; step < 40_000; step++) {
      const pick = random(held.length || 1)
      const block = held[pick]
      const dice = random(10)
      if (block && (dice < 4 || (full > 0 && dice < 7))) {
        for (let n = 0; n < block.bytes; n++)
          if (arena.u8[block.at + n] !== block.mark) throw new Error('overwritten')
        if (dice === 0) {
          const wanted = 1 + random(block.bytes * 2)
          if (resizeInPlace(arena, stripe, block.at, wanted)) block.bytes = wanted
          else if (wanted <= block.bytes) throw new Error('shrinking always works')
          arena.u8.fill(block.mark, block.at, block.at + block.bytes)
        } else {
          freeBlock(arena, stripe, block.at)
          held[pick] = held[held.length - 1] ?? block
          held.pop()
          if (full > 0) full--
        }
      } else {
        const bytes = 1 + random(2 ** (3 + random(14)))
        const at = allocateBlock(arena, stripe, bytes)
        if (at === 0) full = 50
        else {
          if (at % 4 !== 0 || blockBytes(arena, at) < bytes)
            throw new Error('a block too small or askew')
          const mark = random(256)
          arena.u8.fill(mark, at, at + bytes)
          held.push({ at, bytes, mark })
        }
      }
      if (step % 1000 === 0) {
        const used = held.reduce((sum, { at }) => sum + blockBytes(arena, at) + BLOCK_HEAD_BYTES, 0)
        t.equal(word(STRIPE_USED), used, 'bytes in use')
        t.equal(
          word(STRIPE_TAKEN),
          used + freeBytes(arena, stripe) + word(STRIPE_CHUNKS) * BLOCK_HEAD_BYTES,
          'all bytes',
        )
      }
    }
    for (const { at } of held) freeBlock(arena, stripe, at)
    t.equal(word(STRIPE_USED), 0)
    const largest = allocateBlock(arena, stripe, 1_000_000)
    t.not(largest, 0, 'what was freed in pieces is one piece again')
  },
)

t.test('a growing list reuses the blocks that it frees', async t => {
  const arena = newArena(64 * 2 ** 20)
  const stripe = stripeHead(0, 1)
  let at = allocateBlock(arena, stripe, 48)
  let bytes = 48
  while (bytes < 24_576) {
    bytes += 48 + (bytes >> 3)
    if (resizeInPlace(arena, stripe, at, bytes)) continue
    const next = allocateBlock(arena, stripe, bytes)
    freeBlock(arena, stripe, at)
    at = next
  }
  t.ok((arena.u32[(stripe + STRIPE_TAKEN) >> 2] ?? 0) < bytes * 6)
})

t.test('a full arena returns 0 and reuses freed blocks', async t => {
  const arena = newArena(2 ** 20)
  const stripe = stripeHead(0, 1)
  const held: number[] = []
  for (
    let at = allocateBlock(arena, stripe, 1000);
    at !== 0;
    at = allocateBlock(arena, stripe, 1000)
  )
    held.push(at)
  t.ok(held.length > 700, `${held.length} blocks`)
  t.ok(arenaTaken(arena) <= 2 ** 20)
  freeBlock(arena, stripe, held[10] ?? 0)
  t.equal(allocateBlock(arena, stripe, 996), held[10])
})
