import t from 'tap'
import { compilePrefixes, hasPrefix } from '../../src/engine/client-prefixes.ts'
import { fc } from '../fixtures/seed.ts'

t.test('a peer id has a prefix if it begins with it', async t => {
  // Few characters, so that prefixes begin alike and fit often.
  const text = (minLength: number, maxLength: number) =>
    fc.string({ minLength, maxLength, unit: fc.constantFrom('-', 'A', 'a', '~') })
  fc.assert(
    fc.property(
      fc.array(text(1, 20), { minLength: 1, maxLength: 12 }),
      text(20, 20),
      (prefixes, id) => {
        const trie = compilePrefixes(prefixes)
        const bytes = Buffer.from(`..${id}`)
        return trie && hasPrefix(trie, bytes, 2) === prefixes.some(one => id.startsWith(one))
      },
    ),
    { numRuns: 2000 },
  )
  t.pass()
})

t.test('an empty list matches nothing, and a whole id is a prefix', async t => {
  t.equal(compilePrefixes([]), undefined)
  const id = '-XL0012-abcdefghijkl'
  const trie = compilePrefixes([id]) ?? new Uint16Array(256)
  t.ok(hasPrefix(trie, Buffer.from(id), 0))
  t.notOk(hasPrefix(trie, Buffer.from('-XL0012-abcdefghijkm'), 0))
  t.notOk(hasPrefix(trie, new Uint8Array(20), 0))
})
