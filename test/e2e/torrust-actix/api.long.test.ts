import t from 'tap'
import { type Compared, skipWithoutOriginal as skip, TOKEN } from '../fixtures/original.ts'
import { askRaw } from '../fixtures/raw-request.ts'
import {
  type ApiRequest,
  apiRequests,
  numberedUsers,
  routes,
  type TokenForm,
} from './fixtures/api-requests.ts'
import { API_DIFFERENCES } from './fixtures/explained-api.ts'
import { startPair } from './fixtures/pair.ts'
import { type Members, SideBySide } from './fixtures/side-by-side.ts'

/** The header of the token. */
function authorization(token: TokenForm): string {
  const values: Partial<Record<TokenForm, string>> = {
    bearer: `Bearer ${TOKEN}`,
    lower: `bearer ${TOKEN}`,
    bare: TOKEN,
    empty: 'Bearer ',
    wrong: 'Bearer wrong',
  }
  const value = values[token]
  return value === undefined ? '' : `authorization: ${value}\r\n`
}

async function ask({ api }: Compared, request: ApiRequest): Promise<Members> {
  const { method, path, body, token = 'bearer' } = request
  const query = token === 'query' ? `?token=${encodeURIComponent(TOKEN)}` : ''
  const answer = await askRaw(api, {
    method,
    target: path + query,
    body,
    headers: authorization(token),
  })
  const type = answer.headers['content-type']?.split(';')[0]
  const parsed = parse(answer.body.toString())
  return { status: answer.status, ...(answer.body.length > 0 && { type }), ...parsed }
}

/** Members of the JSON, one for each path of names, without the times of the two programs. */
function parse(text: string): Members {
  if (text === '') return {}
  try {
    const { status, ...rest } = JSON.parse(text) as Record<string, unknown>
    const members: Record<string, unknown> = { text: status }
    flatten(rest, 'body', members)
    return members
  } catch {
    return { body: 'not JSON' }
  }
}

function flatten(value: unknown, name: string, members: Record<string, unknown>): void {
  if (typeof value !== 'object' || value === null) {
    members[name] = isTime(value) ? 'a time' : value
    return
  }
  const entries = Object.entries(value)
  if (entries.length === 0) members[name] = value
  for (const [key, member] of entries) flatten(member, `${name}/${key}`, members)
}

/** Whether this is a time near the present, in seconds or milliseconds. */
function isTime(value: unknown): boolean {
  if (typeof value !== 'number') return false
  const distance = (unit: number) => Math.abs(value / unit - Date.now() / 1000)
  return distance(1) < 86_400 || distance(1000) < 86_400
}

function nameOf({ method, path, body = '', token }: ApiRequest): string {
  return `${method} ${path} ${body.slice(0, 200)} ${token ?? ''}`.trim()
}

t.test('the API answers as Torrust-Actix does', { skip }, async t => {
  const comparison = new SideBySide()
  for (const [flags, requests] of [
    [false, apiRequests()],
    [true, routes('bearer')],
  ] as const) {
    const pair = await startPair(t, {
      whitelist_enabled: flags,
      blacklist_enabled: flags,
      keys_enabled: flags,
      users_enabled: flags,
    })
    for (const request of requests) {
      const wanted = await ask(pair.original, request)
      comparison.compare(nameOf(request), wanted, await ask(pair.muster, request))
    }
  }
  const pair = await startPair(t, { users_enabled: true }, { idUuid: false })
  for (const request of numberedUsers()) {
    const wanted = await ask(pair.original, request)
    comparison.compare(nameOf(request), wanted, await ask(pair.muster, request))
  }
  comparison.report(t, API_DIFFERENCES)
})
