import { AQUATIC_LOAD_TEST, runAquaticLoad } from '../load/aquatic.ts'
import { startUdpGenerator, type UdpGenerator } from '../load/generators.ts'
import { infoHashOf, type Mix } from '../load/mix.ts'
import type { UdpLoad, UdpReport } from '../load/udp.ts'
import { countCpu, memoryMib, processTree, sum } from '../measure.ts'
import { muster } from '../rivals/muster.ts'
import { absentProgram, type Rival, type RunningRival } from '../rivals/rival.ts'
import {
  AQUATIC_UDP,
  aquaticUdp,
  bareUdp,
  bittorrentTrackerUdp,
  present as installed,
  OPENTRACKER,
  opentracker,
  torrustActix,
} from '../rivals/rivals.ts'
import { bySize, createRows, type Plan, type Run, type Scenario } from '../scenario.ts'

export type UdpTask = Omit<UdpLoad, 'port'> & { readonly seconds: number }

/** muster over UDP with so many threads on its socket, and nothing but that. */
export function musterUdp(threads: number, name = 'muster'): Rival {
  return muster({ name, udp: { threads }, config: { frontend: { workers: 0 } } })
}

/** Starts a tracker, lets `work` load it from a generator, and stops both. */
async function withTracker<Done>(
  rival: Rival,
  mix: Mix,
  bodyBytes: number,
  work: (tracker: RunningRival, generator: UdpGenerator) => Promise<Done>,
): Promise<Done> {
  const peers = Math.min(mix.clients, rival.peersMax ?? mix.clients)
  // Fewer peers in proportionally fewer torrents, so that swarms and answers keep their size.
  const torrents = Math.ceil((mix.torrents * peers) / mix.clients)
  const infoHashes = Array.from({ length: torrents }, (_, n) => infoHashOf(n))
  const tracker = await rival.start({ infoHashes, bodyBytes })
  const generator = startUdpGenerator({
    port: tracker.port,
    mix: { ...mix, torrents, clients: peers },
  })
  try {
    return await work(tracker, generator)
  } finally {
    generator.stop()
    await tracker.stop()
  }
}

/**
 * Measures what the tracker's processes take for the requests of `load`. Loopback charges a
 * tracker's sending to the tracker, and its receiving to the generator.
 */
export async function measureLoad(
  tracker: RunningRival,
  load: () => Promise<UdpReport>,
): Promise<Run> {
  const pids = processTree(tracker.pid)
  const cpu = countCpu(pids)
  const report = await load()
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
}

/** Starts a tracker, enters all peers, and measures announces by known peers. */
export function measureUdp(rival: Rival, task: UdpTask, bodyBytes = 0): Promise<Run> {
  return withTracker(rival, task.mix, bodyBytes, async (tracker, generator) => {
    await generator.fill()
    await generator.run(task.seconds / 4)
    return measureLoad(tracker, () => generator.run(task.seconds))
  })
}

/** Starts a tracker and measures the announces that enter all peers. */
function measureFill(rival: Rival, mix: Mix): Promise<Run> {
  return withTracker(rival, mix, 0, (tracker, generator) =>
    measureLoad(tracker, () => generator.fill()),
  )
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

/** A scenario that measures every installed rival in turn, against aquatic_udp. */
function udpScenario(
  scenario: Pick<Scenario, 'name' | 'about'> & { readonly title: string },
  rivals: readonly Rival[],
  notes: readonly string[],
  measure: (rival: Rival, plan: Plan) => Promise<Run>,
): Scenario {
  const { title, ...rest } = scenario
  return {
    ...rest,
    secondsMax: 1200,
    async run(plan) {
      const all = [...notes]
      const present = installed(rivals, all)
      const rows = createRows()
      for (let round = 0; round < plan.runs; round++) {
        for (const rival of present) rows.add(rival.name, await measure(rival, plan))
      }
      const hasAquatic = present.some(({ name }) => name === AQUATIC_UDP)
      const base = { name: hasAquatic ? AQUATIC_UDP : OPENTRACKER, metric: 'perCore' }
      return { title, options: udpTask(plan), rows: rows.rows, base, notes: all }
    },
  }
}

const SHARED = 'Compare what one core answers: the generator shares the processors.'

let bodyBytes = 200

export const udpKnown: Scenario = udpScenario(
  {
    name: 'udp-known',
    title: 'UDP, known peers',
    about:
      'UDP announces by known peers: muster, aquatic_udp, opentracker, torrust-actix, a bare echo, bittorrent-tracker; a million peers in 10,000 torrents',
  },
  [
    musterUdp(1),
    aquaticUdp,
    opentracker,
    torrustActix,
    // An echo stores no peers.
    { ...bareUdp, peersMax: 1000 },
    bittorrentTrackerUdp,
  ],
  [
    `${SHARED} muster sends a seeder only leechers, hence its shorter answers. The answers of the bare echo are as long.`,
    'bittorrent-tracker has fewer peers in proportionally fewer torrents, because a million takes it minutes. This favours it.',
  ],
  async (rival, plan) => {
    const run = await measureUdp(rival, udpTask(plan), bodyBytes)
    if (rival.name === 'muster') bodyBytes = Math.round(run['bodyBytes'] ?? bodyBytes)
    return run
  },
)

export const udpFill: Scenario = udpScenario(
  {
    name: 'udp-fill',
    title: 'UDP, new peers',
    about: 'UDP announces by new peers: muster, aquatic_udp, opentracker',
  },
  [musterUdp(1), aquaticUdp, opentracker],
  [
    `${SHARED} Each of a million peers announces once, to 10,000 torrents that do not exist before.`,
  ],
  (rival, plan) => measureFill(rival, udpTask(plan).mix),
)

export const udpLoadTest: Scenario = udpScenario(
  {
    name: 'udp-load-test',
    title: 'UDP, load of aquatic_udp_load_test',
    about: "UDP with aquatic's own load generator: muster, aquatic_udp",
  },
  [musterUdp(1), aquaticUdp].map(rival => ({
    ...rival,
    absent: rival.absent ?? absentProgram(AQUATIC_LOAD_TEST),
  })),
  [
    `${SHARED} aquatic_udp_load_test is the generator: half of its requests are connects, the others announces with 30 peers wanted.`,
  ],
  measureLoadTest,
)

/** Measures a tracker under aquatic's load generator, the first half of the time as warm-up. */
async function measureLoadTest(rival: Rival, plan: Plan): Promise<Run> {
  const tracker = await rival.start({ infoHashes: [], bodyBytes: 0 })
  try {
    const pids = processTree(tracker.pid)
    const warmUpSeconds = Math.max(1, Math.round(plan.seconds))
    await runAquaticLoad(tracker.port, warmUpSeconds)
    const cpu = countCpu(pids)
    const answered = await runAquaticLoad(tracker.port, 2 * warmUpSeconds)
    const cpuMicros = sum(cpu()) / Math.max(1, answered.responses)
    return {
      perSecond: answered.responses / answered.seconds,
      perCore: 1e6 / cpuMicros,
      cpuMicros,
      errors: answered.errors,
      mib: memoryMib(pids),
    }
  } finally {
    await tracker.stop()
  }
}
