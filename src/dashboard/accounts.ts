import type { Factors, Transfer } from './answers.ts'
import { request } from './api.ts'
import { byId, type Cell, setText } from './dom.ts'
import { formatAgo, formatBytes, formatDuration, formatNumber } from './format.ts'
import { countTexts, hideResults, onSubmit, refusalText, showResults } from './forms.ts'
import { isHash } from './hashes.ts'

/** Rows that are shown of a user's torrents, or of a torrent's users. */
const ROWS = 200

const HEADINGS = [
  'Uploaded',
  'Downloaded',
  'Credited up',
  'Credited down',
  'Seeding',
  'Left',
  'Completed',
  'Announced',
]

/** The cells of a user's numbers in a torrent, after `first`. */
function transferRow(first: Cell, transfer: Transfer): Cell[] {
  const now = Date.now() / 1000
  const number = (text: string): Cell => ({ text, class: 'number' })
  return [
    first,
    number(formatBytes(transfer.uploaded)),
    number(formatBytes(transfer.downloaded)),
    number(formatBytes(transfer.credited_up)),
    number(formatBytes(transfer.credited_down)),
    number(formatDuration(transfer.seeding_seconds)),
    number(transfer.left === 0 ? '–' : formatBytes(transfer.left)),
    number(formatNumber(transfer.completed)),
    number(transfer.active === 1 ? 'active' : formatAgo(transfer.last_announce * 1000, now)),
  ]
}

/** Hides the users of a torrent. */
export function hideTorrentUsers(): void {
  hideResults('torrent-users')
  setText(byId('torrent-users-hint'), '')
}

/** Shows the users of a torrent; users that completed it come first. */
export async function showTorrentUsers(hash: string): Promise<void> {
  hideTorrentUsers()
  setText(byId('torrent-users-hint'), await fillTorrentUsers(hash))
}

/** Shows the table of users. Returns a hint. */
async function fillTorrentUsers(hash: string): Promise<string> {
  const answer = await request('GET', `/api/torrent/${hash}/users?limit=${ROWS}`)
  if (answer.status !== 200) return refusalText(answer)
  const users = answer.json['users'] as readonly Transfer[]
  const sorted = [...users].sort((a, b) => b.completed - a.completed)
  showResults(
    'torrent-users',
    ['User key', ...HEADINGS],
    sorted.map(user => transferRow({ text: user.key ?? '', class: 'hash' }, user)),
  )
  if (users.length === 0) return 'None.'
  return answer.json['next'] === null ? '' : `The first ${ROWS}.`
}

async function showUserTorrents(user: string, query: string): Promise<string> {
  const answer = await request('GET', `/api/user/${user}/torrents?limit=${ROWS}${query}`)
  if (answer.status !== 200) throw new Error(refusalText(answer))
  const torrents = answer.json['torrents'] as readonly Transfer[]
  showResults(
    'account-results',
    ['Info hash', ...HEADINGS],
    torrents.map(torrent => {
      const hash = torrent.info_hash ?? ''
      return transferRow({ text: hash, class: 'hash', href: `#torrent/${hash}` }, torrent)
    }),
  )
  const account = await request('GET', `/api/user/${user}/account`)
  const flags = (account.json['flags'] as readonly string[] | undefined) ?? []
  const flagged = flags.length > 0 ? ' Flagged: counts grew faster than is plausible.' : ''
  return `${formatNumber(torrents.length)} torrents.${flagged}`
}

async function showFlagged(): Promise<string> {
  const { json } = await request('GET', '/api/list/flagged')
  const users = json['users'] as readonly string[]
  showResults(
    'account-results',
    ['Key'],
    users.map(text => [{ text, class: 'hash' }]),
  )
  return `${formatNumber(users.length)} flagged.`
}

async function clearFlags(user: string): Promise<string> {
  const answer = await request('DELETE', `/api/user/${user}/flags`)
  if (answer.status !== 200) throw new Error(refusalText(answer))
  return 'Cleared.'
}

function startAccount(): void {
  const field = byId('account-key', HTMLInputElement)
  const hours = byId('account-hours', HTMLInputElement)
  onSubmit(byId('account-form', HTMLFormElement), byId('account-message'), async action => {
    hideResults('account-results')
    if (action === 'flagged') return showFlagged()
    const user = field.value.trim()
    if (user === '') throw new Error('Enter the key or the id of a user.')
    const name = encodeURIComponent(user)
    if (action === 'clear') return clearFlags(name)
    const seconds = Math.round(Number(hours.value) * 3600)
    return showUserTorrents(name, action === 'hit-and-run' ? `&hit_and_run=${seconds}` : '')
  })
}

async function listFactors(): Promise<string> {
  const { json } = await request('GET', `/api/list/factors?limit=${ROWS}`)
  const factors = json['factors'] as readonly Factors[]
  showResults(
    'factors-results',
    ['For', 'Info hash or user key', 'Upload', 'Download', 'Until'],
    factors.map(({ scope, id = '', upload, download, until }) => [
      { text: scope },
      { text: id, class: 'hash' },
      { text: String(upload), class: 'number' },
      { text: String(download), class: 'number' },
      { text: until === 0 ? 'no end' : new Date(until * 1000).toLocaleString() },
    ]),
  )
  return factors.length === 0 ? 'None.' : ''
}

function startFactors(): void {
  const scope = byId('factors-scope', HTMLSelectElement)
  const value = (name: string) => byId(`factors-${name}`, HTMLInputElement).value.trim()
  onSubmit(byId('factors-form', HTMLFormElement), byId('factors-message'), async action => {
    hideResults('factors-results')
    if (action === 'list') return listFactors()
    const id = scope.value === 'everybody' ? '' : value('id')
    if (scope.value === 'torrent' && !isHash(id)) {
      throw new Error('An info hash is 40 hexadecimal digits.')
    }
    const target = { scope: scope.value, ...(id !== '' && { id }) }
    const hours = Number(value('hours'))
    const until = hours === 0 ? 0 : Math.round(Date.now() / 1000 + hours * 3600)
    const factors = { upload: Number(value('upload')), download: Number(value('download')), until }
    const answer = await (action === 'remove'
      ? request('DELETE', '/api/factors', [target])
      : request('POST', '/api/factors', [{ ...target, ...factors }]))
    if (answer.status !== 200) throw new Error(refusalText(answer))
    const message = countTexts(answer.json['factors'] as readonly string[])
    return `${message} ${await listFactors()}`.trim()
  })
}

export function startAccounts(): void {
  startAccount()
  startFactors()
}
