import t from 'tap'
import { hexOf, startApi } from '../fixtures/api-client.ts'

type Page = { status: string; whitelist: string[]; next: string | null }

t.test('a listing has every entry once, in pages of the limit', async t => {
  const { admin, ask } = await startApi(t)
  const hashes = Array.from({ length: 25 }, (_, n) => hexOf(n)).sort()
  await admin.addListed('whitelist', hashes)
  const found: string[] = []
  const sizes: number[] = []
  for (let cursor: string | null = ''; cursor !== null; ) {
    const path = `/api/list/whitelist?limit=10&cursor=${cursor}`
    const page = (await ask({ method: 'GET', path })).json as Page
    found.push(...page.whitelist)
    sizes.push(page.whitelist.length)
    cursor = page.next
  }
  t.same(found, hashes)
  t.same(sizes, [10, 10, 5])
})

t.test('a listing omits entries that are removed during the request', async t => {
  const { admin, ask } = await startApi(t)
  await admin.setKeys([[hexOf(1), 60]])
  const page = admin.page
  admin.page = async (...args) => {
    const found = await page(...args)
    await admin.removeKeys([hexOf(1)])
    return found
  }
  const { json } = await ask({ method: 'GET', path: '/api/list/keys' })
  t.same(json, { status: 'ok', keys: [], next: null })
})
