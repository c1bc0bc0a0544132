import t from 'tap'
import { serveStatic } from '../../../../src/frontends/api/pages/static-files.ts'
import { startApi } from '../fixtures/api-client.ts'

const FILES = new Map([
  ['/', { type: 'text/html; charset=utf-8', bytes: Buffer.from('<!doctype html>') }],
  ['/ui/', { type: 'text/html; charset=utf-8', bytes: Buffer.from('<p>') }],
  ['/ui/a.js', { type: 'text/javascript', bytes: Buffer.from('"é"') }],
])

t.test('pages are served without a token, with type and policy', async t => {
  const { ask } = await startApi(t, { pages: FILES })
  const page = await ask({ method: 'GET', path: '/?x=1', token: '' })
  t.same([page.status, page.text], [200, '<!doctype html>'])
  t.match(page.headers, {
    'content-type': 'text/html; charset=utf-8',
    'content-security-policy': /default-src 'self'/,
    'x-content-type-options': 'nosniff',
    'cache-control': 'no-cache',
  })
  const head = await ask({ method: 'HEAD', path: '/ui/a.js', token: '' })
  t.same([head.status, head.text, head.headers['content-length']], [200, '', '4'])
  const wrong = await ask({ method: 'DELETE', path: '/', token: '' })
  t.same([wrong.status, wrong.headers.allow], [405, 'GET, HEAD, OPTIONS'])
})

t.test('a file with a matching entity tag is 304', async t => {
  const { ask } = await startApi(t, { pages: FILES })
  const { headers } = await ask({ method: 'GET', path: '/ui/a.js' })
  const again = await ask({
    method: 'GET',
    path: '/ui/a.js',
    headers: { 'if-none-match': `W/"x", ${headers.etag}` },
  })
  t.same([again.status, again.text, again.headers.etag], [304, '', headers.etag])
  const other = await ask({
    method: 'GET',
    path: '/ui/a.js',
    headers: { 'if-none-match': '"another"' },
  })
  t.equal(other.status, 200)
})

t.test('a folder without its slash redirects to the one with it', async t => {
  const { ask } = await startApi(t, { pages: FILES })
  const answer = await ask({ method: 'GET', path: '/ui', token: '' })
  t.same([answer.status, answer.headers.location], [308, '/ui/'])
  t.equal(serveStatic(FILES)('GET', '/other', ''), undefined)
})
