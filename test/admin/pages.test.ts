import t from 'tap'
import type { EntryList } from '../../src/admin/admin.ts'
import { createList } from '../../src/admin/lists.ts'
import { readPage } from '../../src/admin/pages.ts'
import type { Engine } from '../../src/engine/engine.ts'
import { announceTo, clientOf, hashOf, newEngine } from '../fixtures/tracker-client.ts'

/** All pages of a list. */
function pagesOf(engine: Engine, list: EntryList, count: number): (readonly string[])[] {
  const pages: (readonly string[])[] = []
  for (let cursor: string | undefined = ''; cursor !== undefined; ) {
    const page = readPage(engine, list, cursor, count)
    if (!page) throw new Error(`cursor ${cursor} is invalid`)
    pages.push(page.hashes)
    cursor = page.next
  }
  return pages
}

const hex = (n: number) => hashOf(n).toString('hex')

t.test('pages of a list have every entry once, in order', async t => {
  const engine = newEngine()
  const list = createList('whitelist', () => true, engine.access.whitelist, undefined)
  t.same(pagesOf(engine, 'whitelist', 10), [[]])
  // Both spread hashes and hashes with a common prefix.
  const hashes = Array.from({ length: 95 }, (_, n) => hex(n))
  hashes.push(
    ...Array.from({ length: 95 }, (_, n) => `${'00'.repeat(19)}${n.toString(16).padStart(2, '0')}`),
  )
  const all = [...new Set(hashes)].sort()
  await list.add(hashes)
  for (const count of [1, 7, all.length - 1, all.length, 10_000]) {
    const pages = pagesOf(engine, 'whitelist', count)
    t.same(pages.flat(), all, `pages of ${count}`)
    t.ok(pages.slice(0, -1).every(page => page.length === count))
  }
  const [first, second] = pagesOf(engine, 'whitelist', 10)
  await list.remove([second?.[0] ?? ''])
  const next = readPage(engine, 'whitelist', first?.at(-1) ?? '', 10)
  t.same(next?.hashes.slice(0, 9), second?.slice(1), 'a removed entry shifts no page')
})

t.test('pages of torrents have every torrent once', async t => {
  const engine = newEngine()
  for (let n = 0; n < 300; n++) announceTo(engine, { infoHash: hashOf(n), ...clientOf(n) })
  const all = Array.from({ length: 300 }, (_, n) => hex(n)).sort()
  for (const count of [1, 50, 1000]) {
    t.same(pagesOf(engine, 'torrents', count).flat().sort(), all, `pages of ${count}`)
  }
})

t.test('an invalid cursor is refused', async t => {
  const engine = newEngine()
  for (const cursor of ['x', '-1', '1.5', '99999', '123456', hex(1)]) {
    t.equal(readPage(engine, 'torrents', cursor, 10), undefined, cursor)
  }
  for (const cursor of ['x', '1', hex(1).slice(1), `${hex(1)}0`, hex(171).toUpperCase()]) {
    t.equal(readPage(engine, 'keys', cursor, 10), undefined, cursor)
  }
})
