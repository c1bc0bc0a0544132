import { rmSync } from 'node:fs'
import { infoHashOf, type Mix } from '../load/mix.ts'
import { writeKeyFiles } from '../rivals/key-files.ts'
import { benchFolder, muster, musterOnNode } from '../rivals/muster.ts'
import { type Rival, TRACKER_CORE } from '../rivals/rival.ts'
import {
  aquaticHttp,
  BARE_UWS,
  bareUws,
  bareUwsTls,
  bittorrentTracker,
  opentracker,
  present,
  torrustActix,
} from '../rivals/rivals.ts'
import { bySize, createRows, type Plan, type Result, type Scenario } from '../scenario.ts'
import { measureHttp } from './measure-http.ts'

const NUMWANT = 50

export function httpMix(plan: Plan): Mix {
  return {
    torrents: bySize(plan, 1000, 1000, 10),
    clients: bySize(plan, 20_000, 20_000, 100),
    numwant: NUMWANT,
    scrapes: 0.05,
    events: true,
    seed: 1,
  }
}

export function httpConnections(plan: Plan): number {
  return bySize(plan, 64, 64, 4)
}

/** The trackers, each measured with the same requests in every round. */
async function compareHttp(
  title: string,
  rivals: readonly Rival[],
  { keepAlive, tls }: { readonly keepAlive: boolean; readonly tls: boolean },
  plan: Plan,
  notes: string[],
): Promise<Result> {
  const mix = httpMix(plan)
  const connections = httpConnections(plan)
  const infoHashes = Array.from({ length: mix.torrents }, (_, n) => infoHashOf(n))
  const confined = !keepAlive
  const rows = createRows()
  // An estimate until muster has run and its answers' size is known.
  let bodyBytes = 300
  const task = { seconds: plan.seconds, connections, keepAlive, rate: 0, mix, confined, tls }
  const started = present(rivals, notes)
  for (let round = 0; round < plan.runs; round++) {
    for (const rival of started) {
      const run = await measureHttp(rival, task, { infoHashes, bodyBytes })
      rows.add(rival.name, run)
      if (rival.name === 'muster') bodyBytes = Math.round(run['bodyBytes'] ?? bodyBytes)
    }
  }
  const base = { name: BARE_UWS, metric: 'cpuMicros' }
  return { title, options: task, rows: rows.rows, base, notes }
}

export const http: Scenario = {
  name: 'http',
  about:
    'HTTP over kept connections: muster, a bare uWebSockets.js handler, aquatic_http, torrust-actix, bittorrent-tracker',
  secondsMax: 600,
  run: plan =>
    compareHttp(
      'HTTP, kept connections',
      [muster(), musterOnNode(), bareUws, aquaticHttp, torrustActix, bittorrentTracker],
      { keepAlive: true, tls: false },
      plan,
      [
        '"Bare" answers every request with the same bytes, as many as an answer of muster has on average.',
      ],
    ),
}

export const https: Scenario = {
  name: 'https',
  about: 'the same over TLS: muster and a bare uWebSockets.js handler',
  secondsMax: 300,
  async run(plan) {
    const folder = benchFolder()
    try {
      const keys = await writeKeyFiles(folder, 'ECDSA P-256')
      const listener = { ssl: true, ...keys }
      return await compareHttp(
        'HTTPS, kept connections',
        [muster({ listener }), musterOnNode({ listener }), bareUwsTls(keys.ssl_key, keys.ssl_cert)],
        { keepAlive: true, tls: true },
        plan,
        ['The generator uses Node’s TLS, which is slower than the servers: compare CPU time.'],
      )
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  },
}

export const connections: Scenario = {
  name: 'connections',
  about: 'HTTP, a connection for each request, every tracker confined to one processor',
  secondsMax: 600,
  run: plan =>
    compareHttp(
      'HTTP, a connection for each request',
      [
        muster(),
        musterOnNode(),
        bareUws,
        aquaticHttp,
        torrustActix,
        opentracker,
        bittorrentTracker,
      ],
      { keepAlive: false, tls: false },
      plan,
      [
        TRACKER_CORE === undefined
          ? 'Not confined to one processor: taskset or a second processor is missing.'
          : 'All processes of a tracker share one processor, the generator has another. Compare requests/s per core, from the processor time that a request costs the tracker: over loopback the opening of a connection costs a generator as much, and where it is busy it sets the pace.',
      ],
    ),
}
