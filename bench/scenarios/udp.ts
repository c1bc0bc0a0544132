import { startUdpGenerator } from '../load/generators.ts'
import { infoHashOf } from '../load/mix.ts'
import type { UdpLoad } from '../load/udp.ts'
import { countCpu, memoryMib, processTree, sum } from '../measure.ts'
import { muster } from '../rivals/muster.ts'
import type { Rival } from '../rivals/rival.ts'
import {
  BARE_UDP,
  bareUdp,
  bittorrentTrackerUdp,
  OPENTRACKER,
  opentracker,
  present,
} from '../rivals/rivals.ts'
import { bySize, createRows, type Plan, type Run, type Scenario } from '../scenario.ts'

export type UdpTask = Omit<UdpLoad, 'port'> & { readonly seconds: number }

/** muster over UDP with so many threads on its socket, and nothing but that. */
export function musterUdp(threads: number, name = 'muster'): Rival {
  return muster({ name, udp: { threads }, config: { frontend: { workers: 0 } } })
}

/** Starts a tracker, enters all peers, and measures announces by peers that it knows. */
export async function measureUdp(rival: Rival, task: UdpTask, bodyBytes = 0): Promise<Run> {
  const peers = Math.min(task.mix.clients, rival.peersMax ?? task.mix.clients)
  // Fewer peers in as many fewer torrents: swarms and answers stay of one size.
  const torrents = Math.ceil((task.mix.torrents * peers) / task.mix.clients)
  const infoHashes = Array.from({ length: torrents }, (_, n) => infoHashOf(n))
  const tracker = await rival.start({ infoHashes, bodyBytes })
  const mix = { ...task.mix, torrents, clients: peers }
  const generator = startUdpGenerator({ port: tracker.port, mix })
  try {
    await generator.fill()
    await generator.run(task.seconds / 4)
    const pids = processTree(tracker.pid)
    const cpu = countCpu(pids)
    const report = await generator.run(task.seconds)
    // Loopback puts a tracker's sending to its account, and its receiving to the generator's.
    const cpuMicros = sum(cpu()) / Math.max(1, report.answered)
    return {
      perSecond: report.answered / report.seconds,
      perCore: 1e6 / cpuMicros,
      cpuMicros,
      lossPercent: ((report.lost + report.errors) / Math.max(1, report.sent)) * 100,
      bodyBytes: report.answerBytes,
      generatorBusy: report.busy,
      mib: memoryMib(pids),
    }
  } finally {
    generator.stop()
    await tracker.stop()
  }
}

export function udpTask(plan: Plan): UdpTask {
  return {
    seconds: plan.seconds,
    mix: {
      torrents: bySize(plan, 10_000, 2000, 10),
      clients: bySize(plan, 1_000_000, 200_000, 200),
      numwant: 50,
      scrapes: 0.05,
      events: false,
      seed: 1,
    },
  }
}

export const udp: Scenario = {
  name: 'udp',
  about:
    'UDP: muster, opentracker, a bare echo and bittorrent-tracker, a million peers in 10,000 torrents',
  secondsMax: 600,
  async run(plan) {
    const task = udpTask(plan)
    const notes = [
      'Compare what one core answers: the generator shares the processors. muster gives a seeder leechers only, hence its shorter answers; the bare echo’s are as long.',
      'bittorrent-tracker is filled with fewer peers in as many fewer torrents, because a million takes it minutes; that is to its advantage.',
    ]
    const rows = createRows()
    let bodyBytes = 200
    const rivals = present([musterUdp(1), opentracker, bareUdp, bittorrentTrackerUdp], notes)
    for (let round = 0; round < plan.runs; round++) {
      for (const rival of rivals) {
        // Nothing is entered into an echo.
        const run = await measureUdp(
          rival.name === BARE_UDP ? { ...rival, peersMax: 1000 } : rival,
          task,
          bodyBytes,
        )
        rows.add(rival.name, run)
        if (rival.name === 'muster') bodyBytes = Math.round(run['bodyBytes'] ?? bodyBytes)
      }
    }
    const base = { name: OPENTRACKER, metric: 'perCore' }
    return { title: 'UDP', options: task, rows: rows.rows, base, notes }
  },
}
