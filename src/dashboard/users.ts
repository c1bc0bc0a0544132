import type { User } from './answers.ts'
import { request } from './api.ts'
import { byId, type Cell } from './dom.ts'
import { formatBytes, formatNumber } from './format.ts'
import {
  countTexts,
  hideResults,
  lookUpEach,
  onClear,
  onSubmit,
  requestInChunks,
  showResults,
} from './forms.ts'
import { cut, isKey, makeHash, readKeys } from './hashes.ts'
import { removedText } from './lists.ts'

/** A user as the API accepts it: id, key, uploaded, downloaded, completed, updated, active. */
type UserEntry = [string | number, string, number, number, number, number, 0 | 1]

function lookUp(keys: readonly string[]) {
  return lookUpEach(keys, async key => {
    const { status, json } = await request('GET', `/api/user/${key}`)
    return status === 200 ? (json as unknown as User) : undefined
  })
}

const HEADINGS = ['Key', 'Id', 'Uploaded', 'Downloaded', 'Completed', 'Torrents', 'Active']

function userRow(key: string, user: User | undefined): Cell[] {
  if (!user) return [{ text: key, class: 'hash' }, { text: 'unknown' }]
  return [
    { text: key, class: 'hash' },
    { text: String(user.uuid ?? user.id) },
    { text: formatBytes(user.uploaded) },
    { text: formatBytes(user.downloaded) },
    { text: formatNumber(user.completed) },
    { text: formatNumber(user.torrents_active.length) },
    { text: user.active === 1 ? 'yes' : 'no' },
  ]
}

/** Formats a user as a line of the form that changes users. */
function userLine({ id, uuid, key, uploaded, downloaded, completed, active }: User): string {
  return [uuid ?? id, key, uploaded, downloaded, completed, active].join(' ')
}

/** Parses a line in the format that the hint at the field describes. Throws for an invalid line. */
function readUser(line: string, now: number): UserEntry {
  const [id = '', key = '', uploaded = '0', downloaded = '0', completed = '0', active = '1'] = line
    .split(/[\s,;]+/)
    .filter(word => word !== '')
  const counts = [uploaded, downloaded, completed].map(count)
  if (!isKey(key)) throw new Error(`“${cut(line)}”: the key has invalid characters or length.`)
  if (counts.some(Number.isNaN)) throw new Error(`“${cut(line)}”: a count is not a whole number.`)
  if (active !== '0' && active !== '1') throw new Error(`“${cut(line)}”: active is 1 or 0.`)
  const [up = 0, down = 0, done = 0] = counts
  return [/^\d+$/.test(id) ? Number(id) : id, key, up, down, done, now, active === '1' ? 1 : 0]
}

function count(text: string): number {
  const value = /^\d+$/.test(text) ? Number(text) : Number.NaN
  return Number.isSafeInteger(value) ? value : Number.NaN
}

function startLookup(): void {
  const form = byId('users-form', HTMLFormElement)
  const message = byId('users-message')
  const text = byId('users-keys', HTMLTextAreaElement)

  onSubmit(form, message, async action => {
    hideResults('users-results')
    const keys = readKeys(text.value)
    if (action === 'remove') {
      const outcomes = await requestInChunks('DELETE', '/api/users', keys, 'users')
      const texts = outcomes.map(([key, outcome]) => [key, removedText(outcome)] as const)
      showResults(
        'users-results',
        ['Key', 'State'],
        texts.map(([key, state]) => [{ text: key, class: 'hash' }, { text: state }]),
      )
      return countTexts(texts.map(([, state]) => state))
    }
    const found = await lookUp(keys)
    showResults(
      'users-results',
      HEADINGS,
      found.map(([key, user]) => userRow(key, user)),
    )
    const known = found.flatMap(([, user]) => (user ? [userLine(user)] : []))
    const lines = byId('user-lines', HTMLTextAreaElement)
    if (lines.value.trim() === '') lines.value = known.join('\n')
    return countTexts(found.map(([, user]) => (user ? 'found' : 'unknown')))
  })

  onClear('users', () => ({
    question: 'Remove every user?',
    verb: 'Remove all users',
    path: '/api/users/clear',
    done: 'All users were removed.',
  }))
}

function startEditing(): void {
  const text = byId('user-lines', HTMLTextAreaElement)
  onSubmit(byId('user-form', HTMLFormElement), byId('user-message'), async () => {
    const now = Math.floor(Date.now() / 1000)
    const lines = text.value.split('\n').filter(line => line.trim() !== '')
    const entries = lines.map(line => readUser(line.trim(), now))
    const outcomes = await requestInChunks('POST', '/api/users', entries, 'users')
    return countTexts(
      outcomes.map(([, outcome]) => (outcome === 'user_hash added' ? 'added' : 'changed')),
    )
  })
  byId('user-make').addEventListener('click', () => {
    text.value = `${text.value.trim()}\n${makeUuid()} ${makeHash()}\n`.trimStart()
  })
}

/**
 * Replaces `crypto.randomUUID`, which a page over plain HTTP from another machine does not have.
 */
function makeUuid(): string {
  const digits = [...makeHash().slice(0, 32)]
  digits[12] = '4'
  digits[16] = '89ab'[Number.parseInt(digits[16] ?? '0', 16) & 3] ?? '8'
  return digits.join('').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
}

export function startUsers(): void {
  startLookup()
  startEditing()
}
