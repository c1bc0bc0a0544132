import type { Overview } from './answers.ts'
import { createChart } from './charts.ts'
import { byId, fillTable, listItems, make, setText } from './dom.ts'
import {
  formatAgo,
  formatBytes,
  formatDuration,
  formatNumber,
  formatPercent,
  formatShort,
} from './format.ts'

/** Clients with a bar of their own. The others share one bar. */
const CLIENTS_SHOWN = 8

export type OverviewView = {
  show(overview: Overview): void
  /** Redraws the charts after a change of colours. */
  redraw(): void
}

export function createOverviewView(): OverviewView {
  const charts = [
    createChart('announces', [
      { name: 'HTTP', line: 'http' },
      { name: 'UDP', line: 'udp' },
      { name: 'WebSocket', line: 'websocket', dash: [7, 4] },
    ]),
    createChart('peers', [
      { name: 'Seeders', line: 'seeders' },
      { name: 'Leechers', line: 'leechers', dash: [7, 4] },
    ]),
  ]
  return {
    show(overview) {
      showTiles(overview)
      for (const chart of charts) chart.show(overview.history)
      showTop(overview)
      showClients(overview)
      showProcesses(overview)
      showNodes(overview)
      showEntries(overview)
    },
    redraw() {
      for (const chart of charts) chart.redraw()
    },
  }
}

/** A number of `/stats`, or 0 if it is absent. */
export function statOf({ stats }: Overview, name: string): number {
  return Number(stats[name] ?? 0)
}

function tile(id: string, text: string, more: string): void {
  setText(byId(id), text)
  setText(byId(`${id}-more`), more)
}

function showTiles(overview: Overview): void {
  const { history, memory, processes, database } = overview
  const seeders = statOf(overview, 'seeds')
  const leechers = statOf(overview, 'peers')
  const newest = (line: readonly number[]) => line.at(-1) ?? 0
  const rate = newest(history.http) + newest(history.udp) + newest(history.websocket)
  const handled = Object.entries(overview.stats)
    .filter(([name]) => name.endsWith('_announces_handled'))
    .reduce((sum, [, count]) => sum + Number(count), 0)
  tile('announces', formatNumber(rate), `${formatNumber(handled)} since the start`)
  tile(
    'peers',
    formatNumber(seeders + leechers),
    `${formatShort(seeders)} seeders, ${formatShort(leechers)} leechers`,
  )
  tile(
    'torrents',
    formatNumber(statOf(overview, 'torrents')),
    `${formatNumber(statOf(overview, 'completed'))} downloads`,
  )
  tile(
    'memory',
    formatBytes(processes.reduce((sum, { resident }) => sum + resident, 0)),
    `swarms ${formatBytes(memory.taken)} of ${formatBytes(memory.reserved)}`,
  )
  const state = byId('database')
  state.className = database ? `dot ${database.healthy ? 'good' : 'bad'}` : ''
  tile(
    'database',
    database ? (database.healthy ? 'Up' : 'Unreachable') : 'None',
    database ? databaseText(database, statOf(overview, 'timestamp')) : 'nothing is stored',
  )
}

function databaseText(
  { engine, written, failures }: NonNullable<Overview['database']>,
  now: number,
): string {
  const when = written === 0 ? 'not written yet' : `written ${formatAgo(written * 1000, now)}`
  return `${engine}, ${when}${failures > 0 ? `, ${formatNumber(failures)} failed` : ''}`
}

function showTop(overview: Overview): void {
  const now = statOf(overview, 'timestamp')
  const table = byId('top', HTMLTableElement)
  table.hidden = overview.top.length === 0
  byId('top-none').hidden = !table.hidden
  fillTable(
    table,
    overview.top.map(({ info_hash, seeders, leechers, completed, updated }) => [
      { text: info_hash, class: 'hash', href: `#torrent/${info_hash}` },
      { text: formatNumber(seeders), class: 'number' },
      { text: formatNumber(leechers), class: 'number' },
      { text: formatNumber(completed), class: 'number roomy' },
      { text: formatAgo(updated, now), class: 'number roomy' },
    ]),
  )
}

function showClients({ clients }: Overview): void {
  const all = clients.reduce((sum, { peers }) => sum + peers, 0)
  const shown = clients.slice(0, CLIENTS_SHOWN)
  const others = all - shown.reduce((sum, { peers }) => sum + peers, 0)
  if (others > 0) shown.push({ client: 'Others', peers: others })
  setText(
    byId('clients-hint'),
    all === 0
      ? 'No peers yet.'
      : `Of ${formatNumber(all)} ${all === 1 ? 'peer' : 'peers'} of the largest torrents.`,
  )
  const items = listItems(byId('clients'), shown.length, () => {
    const item = make('li')
    const line = make('div')
    line.append(make('span'), make('span'))
    item.append(line, make('i'))
    return item
  })
  for (const [n, { client, peers }] of shown.entries()) {
    const [name, share] = items[n]?.querySelectorAll('span') ?? []
    if (name) setText(name, client)
    if (share) setText(share, formatPercent(peers / all))
    const bar = items[n]?.querySelector('i')
    if (bar) bar.style.width = `${(peers / all) * 100}%`
  }
}

function showProcesses({ processes }: Overview): void {
  fillTable(
    byId('processes', HTMLTableElement),
    processes.map(({ name, pid, cpu, lag, resident }) => [
      { text: `${name} (${pid})` },
      { text: formatPercent(cpu), class: 'number' },
      { text: `${lag.toFixed(1)} ms`, class: 'number' },
      { text: formatBytes(resident), class: 'number' },
    ]),
  )
}

/** The first node is the one that serves this page; without others the table is hidden. */
function showNodes({ nodes }: Overview): void {
  byId('nodes-card').hidden = nodes.length === 0
  const all = nodes.reduce((sum, { announces }) => sum + announces, 0)
  fillTable(
    byId('nodes', HTMLTableElement),
    nodes.map((node, n) => [
      { text: n === 0 ? `${node.name} (this one)` : node.name },
      { text: nodeStateText(node, n === 0) },
      { text: n === 0 ? '' : `${Math.round(node.lag * 1000)} ms`, class: 'number' },
      { text: formatNumber(node.peers), class: 'number' },
      { text: formatNumber(node.announces), class: 'number' },
      { text: all === 0 ? '' : formatPercent(node.announces / all), class: 'number' },
    ]),
  )
}

function nodeStateText({ differs, joined, up }: Overview['nodes'][number], isOwn: boolean): string {
  if (!up) return isOwn ? 'NATS unreachable' : 'silent'
  if (!joined) return 'joining'
  return differs ? 'other settings' : 'up'
}

/**
 * Labels of the lists and their names in `/stats`, which does not report whether users are checked.
 */
const LISTS = [
  ['Whitelist', 'whitelist'],
  ['Blacklist', 'blacklist'],
  ['Keys', 'keys'],
  ['Users', 'users'],
] as const

function showEntries(overview: Overview): void {
  fillTable(
    byId('entries', HTMLTableElement),
    LISTS.map(([name, stat]) => {
      const isEnabled = overview.stats[`${stat}_enabled`]
      return [
        { text: name },
        { text: formatNumber(statOf(overview, stat)), class: 'number' },
        { text: isEnabled === undefined ? '' : isEnabled ? 'yes' : 'no' },
      ]
    }),
  )
}

/** Shows the version and the uptime. */
export function aboutText(overview: Overview): string {
  const uptime = statOf(overview, 'timestamp') - statOf(overview, 'started')
  return `${overview.version}, up ${formatDuration(uptime)}`
}
