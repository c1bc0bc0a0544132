import bencode from 'bencode'
import t from 'tap'
import { hashOf } from '../../fixtures/tracker-client.ts'
import { type Compared, skipWithoutOriginal as skip, TOKEN } from '../fixtures/original.ts'
import { askRaw } from '../fixtures/raw-request.ts'
import { ACCESS_DIFFERENCES } from './fixtures/explained-access.ts'
import { announceQuery } from './fixtures/odd-announces.ts'
import { type Pair, startPair } from './fixtures/pair.ts'
import { type Members, SideBySide } from './fixtures/side-by-side.ts'

/** Announces and scrapes where keys, users and lists are enabled. */

const hex = (n: number) => hashOf(n).toString('hex')
const [KEY, EXPIRED, UNKNOWN, USER, INACTIVE] = [21, 22, 23, 24, 25].map(hex)
const UUID = '11111111-2222-3333-4444-55555555555'

/** The first parts of paths: with one key, with two, and malformed. */
const BEFORE = [
  '',
  ...[
    KEY,
    EXPIRED,
    UNKNOWN,
    USER,
    INACTIVE,
    KEY?.toUpperCase(),
    'short',
    'z'.repeat(40),
    '%20',
  ].map(part => `/${part}`),
]
const USERS = [USER, INACTIVE, UNKNOWN, KEY, 'short', 'z'.repeat(40)]

async function prepare({ api }: Compared): Promise<void> {
  const requests: [string, unknown][] = [
    ['keys', { [KEY as string]: 1000, [EXPIRED as string]: 0 }],
    ['whitelists', [hex(1), hex(3)]],
    ['blacklists', [hex(3)]],
    [
      'users',
      [
        [`${UUID}1`, USER, 0, 0, 0, 0, 1],
        [`${UUID}2`, INACTIVE, 0, 0, 0, 0, 0],
      ],
    ],
  ]
  for (const [path, body] of requests) {
    const headers = `authorization: Bearer ${TOKEN}\r\n`
    const target = `/api/${path}`
    await askRaw(api, { method: 'POST', target, headers, body: JSON.stringify(body) })
  }
}

/** Status and text of a refusal, or the counts. */
async function ask({ http }: Compared, target: string): Promise<Members> {
  const { body, status } = await askRaw(http, { target })
  const decoded = bencode.decode(body) as Record<string, unknown>
  const reason = decoded['failure reason'] as Uint8Array | undefined
  if (reason) return { status, text: Buffer.from(reason).toString() }
  return { status, complete: decoded['complete'], incomplete: decoded['incomplete'] }
}

async function userOf({ api }: Compared, n: number): Promise<Members> {
  const { body } = await askRaw(api, {
    target: `/api/user/${UUID}${n}`,
    headers: `authorization: Bearer ${TOKEN}\r\n`,
  })
  const user = JSON.parse(body.toString()) as Record<string, unknown>
  const { completed, downloaded, torrents_active: active, uploaded } = user
  return { status: 200, completed, downloaded, uploaded, torrents: Object.keys(active as object) }
}

async function compareAll(pair: Pair, comparison: SideBySide, name: string) {
  await Promise.all([pair.original, pair.muster].map(prepare))
  const both = async (target: string) => {
    const wanted = await ask(pair.original, target)
    comparison.compare(
      `${name} ${target.replace(/\?.*/, '')}`,
      wanted,
      await ask(pair.muster, target),
    )
  }
  for (const torrent of [1, 2, 3]) {
    const query = `?${announceQuery(torrent, 1, '&left=5&compact=1')}`
    for (const before of BEFORE) {
      await both(`${before}/announce${query}`)
      await both(`${before}/scrape${query}`)
    }
    for (const user of USERS) {
      for (const key of [KEY, UNKNOWN, 'short']) await both(`/${key}/${user}announce${query}`)
    }
  }
  for (const [event, uploaded, left] of [
    ['started', 0, 9],
    ['', 500, 9],
    ['completed', 700, 0],
    ['stopped', 1000, 0],
  ]) {
    const more = `&uploaded=${uploaded}&left=${left}&event=${event}&compact=1`
    const query = `?${announceQuery(1, 8).replace('&uploaded=0', '')}${more}`
    await both(`/${KEY}/${USER}announce${query}`)
    const wanted = await userOf(pair.original, 1)
    comparison.compare(`${name} user after ${event}`, wanted, await userOf(pair.muster, 1))
  }
}

t.test('access rules are those of Torrust-Actix', { skip }, async t => {
  const comparison = new SideBySide()
  const lists = { whitelist_enabled: true, blacklist_enabled: true }
  for (const [name, flags] of [
    ['keys', { ...lists, keys_enabled: true }],
    ['users', { users_enabled: true }],
    ['both', { ...lists, keys_enabled: true, users_enabled: true }],
  ] as const) {
    await compareAll(await startPair(t, flags), comparison, name)
  }
  comparison.report(t, ACCESS_DIFFERENCES)
})
