import { infoHashOf, type Mix } from '../load/mix.ts'
import { muster } from '../rivals/muster.ts'
import { type Rival, TRACKER_CORE } from '../rivals/rival.ts'
import { BARE_UWS, bareUws, bittorrentTracker, opentracker, present } from '../rivals/rivals.ts'
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

/** Each of these on the same requests, round by round. */
async function compareHttp(
  title: string,
  rivals: readonly Rival[],
  keepAlive: boolean,
  plan: Plan,
  notes: string[],
): Promise<Result> {
  const mix = httpMix(plan)
  const connections = httpConnections(plan)
  const infoHashes = Array.from({ length: mix.torrents }, (_, n) => infoHashOf(n))
  const confined = !keepAlive
  const rows = createRows()
  // Until muster has run, the size of its answers is a guess.
  let bodyBytes = 300
  const task = { seconds: plan.seconds, connections, keepAlive, rate: 0, mix, confined }
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
  about: 'HTTP over kept connections: muster, a bare uWebSockets.js handler, bittorrent-tracker',
  secondsMax: 300,
  run: plan =>
    compareHttp('HTTP, kept connections', [muster(), bareUws, bittorrentTracker], true, plan, [
      '"Bare" answers every request with the same bytes, as many as an answer of muster has on average.',
    ]),
}

export const connections: Scenario = {
  name: 'connections',
  about: 'HTTP, a connection for each request, every tracker confined to one processor',
  secondsMax: 300,
  run: plan =>
    compareHttp(
      'HTTP, a connection for each request',
      [muster(), bareUws, opentracker, bittorrentTracker],
      false,
      plan,
      [
        TRACKER_CORE === undefined
          ? 'Not confined to one processor: taskset or a second processor is missing.'
          : 'All processes of a tracker share one processor, the generator has another. Compare requests/s per core, from the processor time that a request costs the tracker: over loopback the opening of a connection costs a generator as much, and where it is busy it sets the pace.',
      ],
    ),
}
