import fc from 'fast-check'
import t from 'tap'
import { type ApiRequest, hexOf, startApi } from './fixtures/api-client.ts'
import { answerProblem, type DocumentedOperation, operations } from './fixtures/documented.ts'
import { GOOD_PARAMETERS } from './fixtures/outcomes.ts'

const REQUESTS = 5000
const UUID = GOOD_PARAMETERS['id'] ?? ''

/** Few enough that requests meet each other's. */
const hash = fc
  .record({ n: fc.nat(20), isUpper: fc.boolean() })
  .map(({ n, isUpper }) => (isUpper ? hexOf(n).toUpperCase() : hexOf(n)))

const count = fc.oneof(
  fc.nat(),
  fc.constantFrom(0, 1, -1, 2 ** 31, 2 ** 53 - 1, 2 ** 53, 1e308, 0.5, -0),
)

/** Text that somebody might send to see what happens. */
const hostileText = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.string({ unit: 'grapheme', maxLength: 60 }),
  fc.constantFrom(
    '',
    '__proto__',
    'constructor',
    'toString',
    '../../etc/passwd',
    'null',
    'NaN',
    '1e3',
    '0x10',
    '-0',
    ' 1',
    '١٢٣',
    "' OR 1=1 --",
    'a\r\nset-cookie: b=c',
    '\0',
    '\ud800',
    'clear',
    'x'.repeat(5000),
    '9'.repeat(400),
  ),
)

const nearHash = fc.oneof(
  hash.map(text => text.slice(1)),
  hash.map(text => `${text}0`),
  hash.map(text => `${text.slice(1)}g`),
  hash.map(text => ` ${text.slice(1)}`),
)

const hashText = fc.oneof(
  { weight: 6, arbitrary: hash },
  { weight: 1, arbitrary: nearHash },
  { weight: 1, arbitrary: hostileText },
)
const countText = fc.oneof(
  { weight: 6, arbitrary: fc.nat().map(String) },
  { weight: 1, arbitrary: count.map(String) },
  { weight: 1, arbitrary: hostileText },
)

function parameterText(name: string): fc.Arbitrary<string> {
  if (name.endsWith('hash') || name === 'key') return hashText
  if (name === 'id') return fc.oneof(fc.constantFrom(UUID, UUID.toUpperCase(), '0', '5'), countText)
  if (name === 'active') return fc.oneof(fc.constantFrom('0', '1', '2', 'true'), countText)
  return countText
}

/** Without halves of surrogate pairs, which are no text. */
function wellFormed(text: string): string {
  return Buffer.from(text).toString()
}

/** In a path: encoded as it should be, or as it is as far as Node's client lets it. */
const encoding = fc.constantFrom(
  (text: string) => encodeURIComponent(wellFormed(text)),
  (text: string) => encodeURIComponent(wellFormed(text)).replace('%', '%%'),
  (text: string) => text.replace(/[^!-~]|[?#]/g, '%ff'),
)

function pathOf(operation: DocumentedOperation): fc.Arbitrary<string> {
  const values = operation.parameters.map(({ name }) => parameterText(name))
  return fc.tuple(fc.tuple(...values), encoding).map(([texts, encode]) => {
    let path = operation.path
    for (const [n, { name }] of operation.parameters.entries()) {
      path = path.replace(`{${name}}`, () => encode(texts[n] ?? ''))
    }
    return path
  })
}

const userEntry = fc.tuple(
  fc.oneof(fc.constantFrom<unknown>(UUID, 5, '5', null), hostileText),
  hashText,
  count,
  count,
  count,
  count,
  fc.constantFrom<unknown>(0, 1, 1, 1, 2, true, '1'),
)

/** Bodies as the operation with this schema wants them, or nearly. */
function shapedBody(schema: unknown): fc.Arbitrary<unknown> {
  const name = JSON.stringify(schema)
  if (name.includes('UsersPostBody')) {
    return fc.array(
      fc.oneof({ weight: 5, arbitrary: userEntry }, { weight: 1, arbitrary: fc.array(count) }),
      { maxLength: 10 },
    )
  }
  if (name.includes('PostBody')) return fc.dictionary(hashText, count, { maxKeys: 10 })
  if (name.includes('Array')) return fc.array(hashText, { maxLength: 10 })
  return fc.record(
    { server_type: fc.constantFrom('http', 'api', 'udp'), bind_address: hostileText },
    { requiredKeys: [] },
  )
}

function bodyOf({ bodySchema }: DocumentedOperation): fc.Arbitrary<unknown> {
  if (!bodySchema) return fc.constant(undefined)
  const shaped = shapedBody(bodySchema).map(body => JSON.stringify(body))
  return fc.oneof(
    { weight: 8, arbitrary: shaped },
    { weight: 1, arbitrary: shaped.map(text => text.slice(0, -1)) },
    { weight: 1, arbitrary: fc.json() },
    { weight: 1, arbitrary: fc.uint8Array({ maxLength: 200 }) },
    { weight: 1, arbitrary: hostileText.map(wellFormed) },
    { weight: 1, arbitrary: fc.constant(undefined) },
  )
}

type Case = { operation: DocumentedOperation; asked: ApiRequest }

const anyCase: fc.Arbitrary<Case> = fc.constantFrom(...operations).chain(operation =>
  fc.record({
    operation: fc.constant(operation),
    asked: fc.record({
      method: fc.oneof(
        { weight: 20, arbitrary: fc.constant(operation.method) },
        { weight: 1, arbitrary: fc.constantFrom('PUT', 'PATCH', 'OPTIONS') },
      ),
      path: pathOf(operation),
      body: bodyOf(operation),
    }),
  }),
)

t.test('no request of 5,000 makes the API fail or answer what is not documented', async t => {
  const { ask, errors, server } = await startApi(t, { swagger: true })
  const statuses = new Map<number, number>()
  const seed = Date.now() & 0x7fffffff
  t.comment(`seed ${seed}`)
  await fc.assert(
    fc.asyncProperty(anyCase, async ({ operation, asked }) => {
      const answer = await ask(asked)
      statuses.set(answer.status, (statuses.get(answer.status) ?? 0) + 1)
      if (answer.status >= 500) throw new Error(`${answer.status} ${answer.text}`)
      // Of another method, or with a slash in a parameter, it is not this operation that was asked.
      if (asked.method !== operation.method) return
      if (asked.path.split('/').length !== operation.path.split('/').length) return
      if (asked.path.endsWith('/clear') && !operation.path.endsWith('/clear')) return
      const problem = answerProblem(operation, answer)
      if (problem) throw new Error(problem)
    }),
    { numRuns: REQUESTS, seed },
  )
  t.same(errors, [])
  t.equal(server.inFlight, 0)
  for (const status of [200, 204, 304, 400, 404, 405]) {
    t.ok((statuses.get(status) ?? 0) > 5, `${statuses.get(status)} answers were ${status}`)
  }
})
