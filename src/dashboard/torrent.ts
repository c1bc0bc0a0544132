import { hideTorrentUsers, showTorrentUsers } from './accounts.ts'
import type { TorrentOverview } from './answers.ts'
import { request } from './api.ts'
import { byId, confirmed, fillTable, setText } from './dom.ts'
import { formatAgo, formatBytes, formatNumber } from './format.ts'
import { busy, refusalText } from './forms.ts'
import { isHash } from './hashes.ts'
import { addToList, type ListName, removeFromList } from './lists.ts'

/** The torrent search, the details of a torrent and its actions. */
export class TorrentSection {
  readonly #form = byId('torrent-search', HTMLFormElement)
  readonly #message = byId('torrent-message')
  readonly #field = byId('torrent-hash', HTMLInputElement)
  readonly #found = byId('torrent-found')
  #shown: TorrentOverview | undefined

  constructor() {
    this.#form.addEventListener('submit', event => {
      event.preventDefault()
      const hash = this.#field.value.trim()
      const target = `#torrent/${hash}`
      if (isHash(hash) && location.hash !== target) location.hash = target
      else void this.#search(hash)
    })
    const onClick = (name: string, act: (shown: TorrentOverview) => unknown) =>
      byId(`torrent-${name}`).addEventListener('click', () => {
        if (this.#shown) act(this.#shown)
      })
    onClick('whitelist', shown => this.#toggle('whitelist', shown))
    onClick('blacklist', shown => this.#toggle('blacklist', shown))
    onClick('delete', shown => this.#remove(shown))
    onClick('users-show', shown => showTorrentUsers(shown.info_hash))
  }

  open(hash: string): void {
    this.#field.value = hash
    void this.#search(hash)
  }

  /** Reloads and shows the torrent. `message` is the first part of the message. */
  async #load(hash: string, message = ''): Promise<string> {
    const answer = await request('GET', `/api/overview/${hash}`)
    if (answer.status !== 200) throw new Error(refusalText(answer))
    const shown = answer.json as unknown as TorrentOverview
    this.#shown = shown
    showTorrent(shown)
    this.#found.hidden = false
    hideTorrentUsers()
    return shown.torrent ? message : `${message} The tracker does not have this torrent.`.trim()
  }

  #search(hash: string): Promise<void> {
    return busy(this.#form, this.#message, () => {
      this.#found.hidden = true
      if (!isHash(hash)) throw new Error('An info hash is 40 hexadecimal digits.')
      return this.#load(hash.toLowerCase())
    })
  }

  #toggle(list: ListName, { blacklisted, info_hash: hash, whitelisted }: TorrentOverview) {
    const isListed = list === 'whitelist' ? whitelisted : blacklisted
    return busy(this.#form, this.#message, async () => {
      const change = isListed ? removeFromList : addToList
      const [[, outcome] = ['', '']] = await change(list, [hash])
      return this.#load(hash, `${list === 'whitelist' ? 'Whitelist' : 'Blacklist'}: ${outcome}.`)
    })
  }

  async #remove({ info_hash: hash }: TorrentOverview): Promise<void> {
    const question = `Delete torrent ${hash} with its peers and its download count?`
    if (!(await confirmed(question, 'Delete'))) return
    await busy(this.#form, this.#message, async () => {
      const { status } = await request('DELETE', `/api/torrent/${hash}`)
      return this.#load(hash, status === 200 ? 'Deleted.' : 'The torrent did not exist.')
    })
  }
}

function showTorrent(overview: TorrentOverview): void {
  const { info_hash, torrent, whitelisted, blacklisted, peers, more } = overview
  const now = Date.now() / 1000
  setText(byId('torrent-name'), info_hash)
  const fact = (name: string, text: string) => setText(byId(`torrent-${name}`), text)
  fact('seeders', torrent ? formatNumber(torrent.seeders) : '–')
  fact('leechers', torrent ? formatNumber(torrent.leechers) : '–')
  fact('completed', torrent ? formatNumber(torrent.completed) : '–')
  fact('updated', torrent ? formatAgo(torrent.updated, now) : 'never')
  fact('whitelisted', whitelisted ? 'listed' : 'not listed')
  fact('blacklisted', blacklisted ? 'listed' : 'not listed')
  fact('whitelist', whitelisted ? 'Remove from whitelist' : 'Add to whitelist')
  fact('blacklist', blacklisted ? 'Remove from blacklist' : 'Add to blacklist')
  byId('torrent-delete', HTMLButtonElement).disabled = torrent === null
  fact(
    'peers-hint',
    peers.length === 0
      ? 'None.'
      : more
        ? `The first ${peers.length}, seeders before leechers.`
        : '',
  )
  const table = byId('torrent-peers', HTMLTableElement)
  table.hidden = peers.length === 0
  fillTable(
    table,
    peers.map(({ peer_id, peer_addr, left, uploaded, downloaded, updated }) => [
      { text: peer_addr, class: 'hash' },
      { text: peer_id.client },
      { text: left === 0 ? 'seeder' : formatBytes(left), class: 'number' },
      { text: formatBytes(uploaded), class: 'number' },
      { text: formatBytes(downloaded), class: 'number' },
      { text: formatAgo(updated, now), class: 'number' },
    ]),
  )
}
