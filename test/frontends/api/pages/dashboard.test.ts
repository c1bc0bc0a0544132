import t from 'tap'
import { loadDashboard } from '../../../../src/frontends/api/pages/dashboard.ts'
import { startApi } from '../fixtures/api-client.ts'

const files = loadDashboard()
const text = (path: string) => Buffer.from(files.get(path)?.bytes ?? []).toString()

t.test('every resource of the page exists', t => {
  const wanted = [...text('/').matchAll(/(?:src|href)="(\/[^"]+)"/g)].map(([, path]) => path ?? '')
  t.ok(wanted.length > 4)
  for (const path of files.keys()) {
    for (const [, name] of text(path).matchAll(/from ["']\.\/([^"']+)["']/g)) {
      wanted.push(`/dashboard/${name}`)
    }
  }
  t.ok(wanted.length > 20)
  for (const path of wanted) t.ok(files.has(path), `${path} is there`)
  t.end()
})

t.test(
  'the page makes no markup of text, loads nothing from other sites, and obeys its policy',
  t => {
    const page = text('/')
    t.notMatch(page, /<script(?![^>]*\bsrc=)|<style|\son\w+=|\sstyle=|javascript:/)
    for (const path of files.keys()) {
      if (path.includes('uPlot')) continue
      t.notMatch(
        text(path).replaceAll('http://www.w3.org/2000/svg', ''),
        /innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|https?:\/\//,
        path,
      )
    }
    t.end()
  },
)

t.test('the page is served without a token and contains no data', async t => {
  const { ask } = await startApi(t, { pages: files })
  for (const [path, type] of [
    ['/', 'text/html; charset=utf-8'],
    ['/dashboard/main.js', 'text/javascript; charset=utf-8'],
    ['/dashboard/style.css', 'text/css; charset=utf-8'],
    ['/dashboard/icon.svg', 'image/svg+xml'],
    ['/dashboard/uPlot.iife.min.js', 'text/javascript; charset=utf-8'],
  ] as const) {
    const answer = await ask({ method: 'GET', path, token: '' })
    t.same([answer.status, answer.headers['content-type']], [200, type], path)
  }
  for (const path of ['/dashboard/main.ts', '/dashboard/tsconfig.json', '/dashboard/..%2f']) {
    t.equal((await ask({ method: 'GET', path, token: '' })).status, 404, path)
  }
})
