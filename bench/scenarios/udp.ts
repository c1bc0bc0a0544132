import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { infoHashOf } from '../load/announces.ts'
import type { UdpCommand, UdpLoad, UdpReport } from '../load/udp.ts'
import { cpuSeconds, median, memoryMib, processTree } from '../measure.ts'
import { keepResults, machine } from '../report.ts'
import type { Rival } from '../rivals/rival.ts'
import { bittorrentTrackerUdp, musterUdp, opentracker } from '../rivals/rivals.ts'

export type UdpScenario = {
  readonly seconds: number
  readonly runs: number
  readonly torrents: number
  readonly peers: number
  readonly numwant: number
  readonly scrapes: number
}

type Measured = {
  perSecond: number
  /** Processor time of all the tracker's processes, per answer. Loopback does a tracker's sending on its account, its receiving on the generator's. */
  cpuMicros: number
  lossPercent: number
  answerBytes: number
  generatorBusy: number
  mib: number
}

async function ask(generator: ChildProcess, command: UdpCommand): Promise<UdpReport> {
  const answer = once(generator, 'message')
  generator.send(command)
  return (await answer)[0] as UdpReport
}

/** Starts a rival, enters all peers, and measures `seconds` of announces by peers that it knows. */
async function measure(rival: Rival, scenario: UdpScenario): Promise<Measured> {
  const peers = Math.min(scenario.peers, rival.peersMax ?? scenario.peers)
  // Fewer peers in as many fewer torrents: swarms and answers stay of one size.
  const torrents = Math.ceil((scenario.torrents * peers) / scenario.peers)
  const infoHashes = Array.from({ length: torrents }, (_, n) => infoHashOf(n))
  const tracker = await rival.start({ infoHashes, bodyBytes: 0 })
  const { numwant, scrapes } = scenario
  const load: UdpLoad = { port: tracker.port, torrents, peers, numwant, scrapes, seed: 1 }
  const file = fileURLToPath(new URL('../load/udp.js', import.meta.url))
  const generator = fork(file, [JSON.stringify(load)])
  try {
    await ask(generator, { does: 'fill' })
    await ask(generator, { does: 'run', seconds: scenario.seconds / 4 })
    const pids = processTree(tracker.pid)
    const before = cpuSeconds(pids)
    const report = await ask(generator, { does: 'run', seconds: scenario.seconds })
    return {
      perSecond: report.answered / report.seconds,
      cpuMicros: ((cpuSeconds(pids) - before) / report.answered) * 1e6,
      lossPercent: ((report.lost + report.errors) / report.sent) * 100,
      answerBytes: report.answerBytes,
      generatorBusy: report.busy,
      mib: memoryMib(pids),
    }
  } finally {
    generator.kill()
    await tracker.stop()
  }
}

/** Runs all trackers in turn, round by round, and prints medians as a Markdown table. */
export async function udpScenario(scenario: UdpScenario): Promise<void> {
  const rivals = [musterUdp(1), opentracker, musterUdp(2), bittorrentTrackerUdp].filter(rival => {
    if (rival.absent) process.stdout.write(`left out: ${rival.absent}\n`)
    return !rival.absent
  })
  const results = new Map<string, Measured[]>(rivals.map(({ name }) => [name, []]))
  for (let round = 0; round < scenario.runs; round++) {
    for (const rival of rivals) results.get(rival.name)?.push(await measure(rival, scenario))
  }
  const on = machine()
  keepResults('udp', { on, options: scenario, results: Object.fromEntries(results) })
  process.stdout.write(
    `${on.cpu}, Linux ${on.kernel}, Node ${on.node}, commit ${on.commit}; ${JSON.stringify(scenario)}\n\n${table(results)}`,
  )
}

function table(results: ReadonlyMap<string, readonly Measured[]>): string {
  const perCore = (runs: readonly Measured[]) => median(runs.map(run => 1e6 / run.cpuMicros))
  const muster = perCore(results.get('muster') ?? [])
  const lines = [
    '| | answers/s | CPU µs per answer | answers/s per core | muster per core × | spread | loss | bytes | MiB | generator busy |',
    '|---|---|---|---|---|---|---|---|---|---|',
  ]
  for (const [name, runs] of results) {
    const middle = (value: (run: Measured) => number) => median(runs.map(value))
    const cores = runs.map(run => 1e6 / run.cpuMicros)
    const spread = (Math.max(...cores) - Math.min(...cores)) / perCore(runs)
    const cells = [
      name,
      middle(run => run.perSecond).toFixed(0),
      middle(run => run.cpuMicros).toFixed(2),
      perCore(runs).toFixed(0),
      (muster / perCore(runs)).toFixed(2),
      `${(spread * 100).toFixed(0)} %`,
      `${middle(run => run.lossPercent).toFixed(3)} %`,
      middle(run => run.answerBytes).toFixed(0),
      middle(run => run.mib).toFixed(0),
      `${(middle(run => run.generatorBusy) * 100).toFixed(0)} %`,
    ]
    lines.push(`| ${cells.join(' | ')} |`)
  }
  return `${lines.join('\n')}\n`
}
