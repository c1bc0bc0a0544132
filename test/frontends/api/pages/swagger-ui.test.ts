import t from 'tap'
import { loadSwaggerUi } from '../../../../src/frontends/api/pages/swagger-ui.ts'
import { startApi } from '../fixtures/api-client.ts'

t.test('every resource of the page exists, and the page loads the document', t => {
  const files = loadSwaggerUi()
  const page = Buffer.from(files.get('/swagger-ui/')?.bytes ?? []).toString()
  const wanted = [...page.matchAll(/(?:src|href)="(?:\.\/)?([^"]+)"/g)].map(([, name]) => name)
  t.ok(wanted.length > 5)
  for (const name of wanted) t.ok(files.has(`/swagger-ui/${name}`), `${name} is there`)
  const script = Buffer.from(files.get('/swagger-ui/swagger-initializer.js')?.bytes ?? [])
  t.match(script.toString(), "'/api/openapi.json'")
  t.end()
})

t.test('Swagger UI and the document are served without a token', async t => {
  const { ask } = await startApi(t, { swagger: true })
  const document = await ask({ method: 'GET', path: '/api/openapi.json', token: '' })
  t.equal(document.headers['content-type'], 'application/json')
  t.match(document.json, { openapi: '3.1.1', info: { title: 'muster API' } })
  for (const [path, type] of [
    ['/swagger-ui/', 'text/html; charset=utf-8'],
    ['/swagger-ui/index.html', 'text/html; charset=utf-8'],
    ['/swagger-ui/swagger-ui.css', 'text/css; charset=utf-8'],
    ['/swagger-ui/swagger-ui-bundle.js', 'text/javascript; charset=utf-8'],
    ['/swagger-ui/favicon-32x32.png', 'image/png'],
  ] as const) {
    const answer = await ask({ method: 'GET', path, token: '' })
    t.same([answer.status, answer.headers['content-type']], [200, type], path)
  }
  t.equal((await ask({ method: 'GET', path: '/swagger-ui', token: '' })).status, 308)
})
