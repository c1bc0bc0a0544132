import { hideTorrentUsers, showTorrentUsers } from './accounts.ts'
import type { TorrentOverview } from './answers.ts'
import { ask } from './api.ts'
import { byId, confirmed, fillTable, setText } from './dom.ts'
import { formatAgo, formatBytes, formatNumber } from './format.ts'
import { busy, refusalText } from './forms.ts'
import { isHash } from './hashes.ts'
import { addToList, type ListName, removeFromList } from './lists.ts'

/** The torrent search, the details of a torrent and its actions. */
export function startTorrent(): { open(hash: string): void } {
  const form = byId('torrent-search', HTMLFormElement)
  const message = byId('torrent-message')
  const field = byId('torrent-hash', HTMLInputElement)
  const found = byId('torrent-found')
  let shown: TorrentOverview | undefined

  /** Reloads and shows the torrent. `said` is the first part of the message. */
  async function look(hash: string, said = ''): Promise<string> {
    const answer = await ask('GET', `/api/overview/${hash}`)
    if (answer.status !== 200) throw new Error(refusalText(answer))
    shown = answer.json as unknown as TorrentOverview
    showTorrent(shown)
    found.hidden = false
    hideTorrentUsers()
    return shown.torrent ? said : `${said} The tracker knows no such torrent.`.trim()
  }

  function search(hash: string): Promise<void> {
    return busy(form, message, () => {
      found.hidden = true
      if (!isHash(hash)) throw new Error('An info hash is 40 hexadecimal digits.')
      return look(hash.toLowerCase())
    })
  }

  function toggle(list: ListName): void {
    if (!shown) return
    const { info_hash: hash } = shown
    const isListed = list === 'whitelist' ? shown.whitelisted : shown.blacklisted
    void busy(form, message, async () => {
      const change = isListed ? removeFromList : addToList
      const [[, outcome] = ['', '']] = await change(list, [hash])
      return look(hash, `${list === 'whitelist' ? 'Whitelist' : 'Blacklist'}: ${outcome}.`)
    })
  }

  async function remove(): Promise<void> {
    if (!shown) return
    const { info_hash: hash } = shown
    const question = `Delete torrent ${hash} with its peers and its download count?`
    if (!(await confirmed(question, 'Delete'))) return
    await busy(form, message, async () => {
      const { status } = await ask('DELETE', `/api/torrent/${hash}`)
      return look(hash, status === 200 ? 'Deleted.' : 'The torrent did not exist.')
    })
  }

  form.addEventListener('submit', event => {
    event.preventDefault()
    const hash = field.value.trim()
    const target = `#torrent/${hash}`
    if (isHash(hash) && location.hash !== target) location.hash = target
    else void search(hash)
  })
  byId('torrent-whitelist').addEventListener('click', () => toggle('whitelist'))
  byId('torrent-blacklist').addEventListener('click', () => toggle('blacklist'))
  byId('torrent-delete').addEventListener('click', () => void remove())
  byId('torrent-users-show').addEventListener('click', () => {
    if (shown) void showTorrentUsers(shown.info_hash)
  })

  return {
    open(hash) {
      field.value = hash
      void search(hash)
    },
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
