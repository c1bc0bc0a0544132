import t, { type Test } from 'tap'
import { AdminError } from '../../../src/admin/admin.ts'
import { type ApiAnswer, type ApiRequest, startApi, TOKEN } from './fixtures/api-client.ts'
import {
  answerProblem,
  type DocumentedOperation,
  exampleStatuses,
  operations,
} from './fixtures/documented.ts'
import { createMemoryAdmin } from './fixtures/memory-admin.ts'
import { GOOD_PARAMETERS, OUTCOMES, type Outcome } from './fixtures/outcomes.ts'

/** Statuses that all secured operations share. One test covers them. */
const COMMON = [400, 429, 500]
const QUERY_PARAMETERS = ['cursor', 'hit_and_run', 'limit']
/** Text of a status that only a broken connection causes. uWebSockets.js sends it. */
const UNREACHABLE = ['chunk error']

const secured = operations.filter(({ isSecured }) => isSecured)
/** Operations that call the admin side. Certificates have own tests. */
const asking = secured.filter(({ id }) => !id.endsWith('Certificates'))

/** A valid request according to the document. */
function goodRequest({ method, path, bodyExample }: DocumentedOperation): ApiRequest {
  return {
    method,
    path: path.replace(/\{(\w+)\}/g, (_, name: string) => GOOD_PARAMETERS[name] ?? ''),
    ...(bodyExample === undefined ? {} : { body: bodyExample }),
  }
}

function statusOf(answer: ApiAnswer): unknown {
  if (answer.status === 304) return answer.headers['x-status']
  return (answer.json as { status?: unknown } | undefined)?.status
}

async function tryOutcome(
  t: Test,
  operation: DocumentedOperation,
  status: number,
  { prepare, swagger = false, answer: expected, ...overrides }: Outcome,
): Promise<unknown> {
  const { ask, admin, server } = await startApi(t, { swagger })
  await prepare?.(admin)
  const asked = { ...goodRequest(operation), ...overrides }
  const answer = await ask(asked)
  const body = overrides.body instanceof Uint8Array ? 'bytes' : JSON.stringify(overrides.body)
  const name = `${asked.path.slice(0, 80)} ${body?.slice(0, 80) ?? ''}`
  t.equal(answer.status, status, `${name}: ${status}`)
  t.equal(answerProblem(operation, answer), undefined, `${name}: as documented`)
  t.equal(answer.headers['access-control-allow-origin'], '*')
  if (expected !== undefined) t.same(status === 304 ? statusOf(answer) : answer.json, expected)
  server.close()
  return statusOf(answer)
}

for (const operation of operations) {
  t.test(`${operation.method} ${operation.path} answers all that is documented`, async t => {
    const outcomes = OUTCOMES[operation.id] ?? {}
    const texts = new Map<number, unknown[]>()
    for (const [status, list] of Object.entries(outcomes)) {
      t.ok(operation.responses.has(Number(status)), `${status} is documented`)
      const statuses: unknown[] = []
      for (const outcome of list)
        statuses.push(await tryOutcome(t, operation, Number(status), outcome))
      texts.set(Number(status), statuses)
    }
    for (const status of operation.responses.keys()) {
      const isCommon = operation.isSecured && COMMON.includes(status)
      t.ok(outcomes[status]?.length || isCommon, `something here leads to ${status}`)
      for (const example of status === 500 || isCommon ? [] : exampleStatuses(operation, status)) {
        const isShaped = (texts.get(status) ?? []).some(
          text => shapeOf(String(text)) === shapeOf(example),
        )
        t.ok(isShaped || UNREACHABLE.includes(example), `something here is answered “${example}”`)
      }
    }
  })
}

/** Replaces the hash in a text, which differs from the document's. */
function shapeOf(text: string): string {
  return text.replace(/[0-9a-f]{40}/, 'HASH')
}

t.test('answers every documented refusal as its example shows', async t => {
  for (const operation of secured) {
    for (const example of exampleStatuses(operation, 400)) {
      const [, parameter = '', value] = /^invalid (\w+) (.*)$/.exec(example) ?? []
      if (value === undefined || operation.bodySchema || example === 'invalid token') continue
      // The outcomes cover parameters of the query.
      if (!operation.path.includes('{') || QUERY_PARAMETERS.includes(parameter)) continue
      const { ask, server } = await startApi(t, { userIdUuid: !example.includes('uuid') })
      const name = operation.path.split('/').find(part => part.startsWith('{')) ?? ''
      const path = operation.path
        .replace(name, value)
        .replace(/\{(\w+)\}/g, (_, other: string) => GOOD_PARAMETERS[other] ?? '')
      const answer = await ask({ method: operation.method, path })
      t.same(
        [answer.status, answer.json],
        [400, { status: example }],
        `${operation.method} ${path}`,
      )
      server.close()
    }
  }
})

t.test('secured operations require the token', async t => {
  const { ask } = await startApi(t)
  for (const operation of secured) {
    const answer = await ask({ ...goodRequest(operation), token: '' })
    t.same([answer.status, answer.json], [400, { status: 'missing token' }], operation.id)
    t.equal(answerProblem(operation, answer), undefined)
  }
  for (const operation of secured) {
    const { ask, server } = await startApi(t)
    const wrong = { ...goodRequest(operation), token: `${TOKEN}!` }
    const answer = await ask(wrong)
    t.same([answer.status, answer.json], [400, { status: 'invalid token' }], operation.id)
    for (let n = 1; n < 10; n++) await ask(wrong)
    const blocked = await ask(wrong)
    t.same([blocked.status, blocked.json], [429, { status: 'too many invalid tokens' }])
    t.equal(answerProblem(operation, blocked), undefined)
    server.close()
  }
})

t.test('an internal failure is logged, and its details are not sent', async t => {
  const admin = createMemoryAdmin()
  const { ask, errors } = await startApi(t, {}, admin)
  for (const [failure, text] of [
    [new AdminError('database error', 'password of the database'), 'database error'],
    [new Error('a secret'), 'internal error'],
  ] as const) {
    for (const operation of asking) {
      admin.failure = failure
      const answer = await ask(goodRequest(operation))
      t.same([answer.status, answer.json], [500, { status: text }], operation.id)
      t.equal(answerProblem(operation, answer), undefined)
      t.same(errors.splice(0), [[failure, operation.id]])
    }
  }
  admin.failure = new AdminError('not enabled', 'whitelist not enabled')
  const refused = await ask({ method: 'POST', path: '/api/whitelists', body: [] })
  t.equal(refused.status, 200, 'nothing was asked for')
  const entry = await ask({ method: 'POST', path: `/api/whitelist/${GOOD_PARAMETERS['infohash']}` })
  t.same([entry.status, entry.json], [400, { status: 'whitelist not enabled' }])
  t.same(errors, [], 'a client’s mistake is not logged')
})

t.test('HEAD has the headers of GET and no body', async t => {
  const { ask, admin } = await startApi(t, { swagger: true })
  await admin.setTorrents([[GOOD_PARAMETERS['infohash'] ?? '', 5]])
  for (const operation of operations.filter(({ method }) => method === 'GET')) {
    const asked = goodRequest(operation)
    const full = await ask(asked)
    const head = await ask({ ...asked, method: 'HEAD' })
    t.equal(head.status, full.status, operation.id)
    t.equal(head.text, '')
    t.equal(head.headers['content-type'], full.headers['content-type'])
    t.equal(head.headers['content-length'], full.headers['content-length'])
  }
})

t.test('a known path refuses other methods and lists the allowed ones', async t => {
  const { ask } = await startApi(t, { swagger: true })
  for (const path of new Set(operations.map(operation => operation.path))) {
    const methods = operations
      .filter(operation => operation.path === path)
      .map(({ method }) => method)
    const target = goodRequest({ ...(operations[0] as DocumentedOperation), path }).path
    const answer = await ask({ method: 'PATCH', path: target, token: '' })
    t.same([answer.status, answer.json], [405, { status: 'method not allowed' }], path)
    const allowed = answer.headers.allow?.split(', ') ?? []
    for (const method of methods) t.ok(allowed.includes(method), `${method} ${path}`)
    t.equal(allowed.includes('HEAD'), methods.includes('GET'))
  }
})
