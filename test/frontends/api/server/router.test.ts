import t from 'tap'
import type { Operation } from '../../../../src/frontends/api/openapi.ts'
import { createRouter } from '../../../../src/frontends/api/server/router.ts'

function operation(method: string, path: string): Operation {
  return { id: `${method} ${path}`, method, path, isSecured: true, body: undefined }
}

const route = createRouter([
  operation('GET', '/api/list/{hash}'),
  operation('POST', '/api/list/{hash}'),
  operation('DELETE', '/api/list/clear'),
  operation('POST', '/api/list/{hash}/{count}'),
  operation('DELETE', '/api/{kind}/{hash}'),
  operation('GET', '/api/lists'),
])

function idOf(method: string, path: string): string | undefined {
  const found = route(method, path)
  return found?.operation?.id
}

t.test('a literal segment wins over a parameter', t => {
  t.equal(idOf('DELETE', '/api/list/clear'), 'DELETE /api/list/clear')
  t.equal(idOf('GET', '/api/list/abc'), 'GET /api/list/{hash}')
  t.equal(idOf('POST', '/api/list/abc/5'), 'POST /api/list/{hash}/{count}')
  t.equal(idOf('DELETE', '/api/other/abc'), 'DELETE /api/{kind}/{hash}')
  t.equal(idOf('HEAD', '/api/lists'), 'GET /api/lists')
  t.equal(idOf('GET', '/api/lists/'), undefined)
  t.end()
})

t.test('parameters are decoded, and malformed ones stay unchanged', t => {
  for (const [text, value] of [
    ['a%20b', 'a b'],
    ['%C3%A9', 'é'],
    ['%zz', '%zz'],
    ['%ff', '%ff'],
    ['a%2Fb', 'a/b'],
    ['', ''],
  ]) {
    const found = route('POST', `/api/list/${text}/5`)
    if (!found?.operation) return t.fail(`no route for ${text}`)
    t.same([found.param('hash'), found.param('count'), found.param('other')], [value, '5', ''])
  }
  return t.end()
})

t.test('a known path with an unknown method lists the allowed ones', t => {
  t.same(route('PUT', '/api/list/abc'), {
    operation: undefined,
    allow: ['GET', 'POST', 'HEAD', 'OPTIONS'],
  })
  t.same(route('GET', '/api/list/clear'), { operation: undefined, allow: ['DELETE', 'OPTIONS'] })
  t.equal(route('GET', '/api'), undefined)
  t.end()
})
