import { fork } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { Worker } from 'node:worker_threads'
import { ATTACKS, type Attack, type AttackerData, type AttackerMode } from '../load/attacker.ts'
import {
  ATTACKED_HASH,
  countAnswer,
  countHonest,
  enterHonest,
  HONEST_PEERS,
  openClient,
  timeHonest,
} from '../load/honest-clients.ts'
import type { UdpClient } from '../load/udp-client.ts'
import { median, memoryMib, processTree, quantile, sum } from '../measure.ts'
import { muster } from '../rivals/muster.ts'
import type { RunningRival } from '../rivals/rival.ts'
import { bySize, createRows, type Plan, type Run, type Scenario } from '../scenario.ts'

const SHARE_SAMPLES = 20
/** Time for the answers that are under way when an attack starts or ends. */
const SETTLE_MILLIS = 500
const ATTACKER = new URL('../load/attacker.js', import.meta.url)
const SINK = fileURLToPath(new URL('../load/attack-sink.js', import.meta.url))

type Turn = {
  readonly asked: number
  readonly answered: number
  readonly p99: number
  readonly p99Ratio: number
  /** Honest and all peers of the answers for the attacked torrent. */
  readonly honest: number
  readonly all: number
  readonly mib: number
}

type Lengths = { readonly turns: number; readonly quiet: number; readonly attacked: number }

/** Quiet and attacked windows in turns, so that other load on the machine meets both. */
function lengthsOf(plan: Plan): Lengths {
  const seconds = secondsOf(plan)
  const attacked = Math.min(20, Math.max(5, seconds / 30), seconds)
  return { turns: Math.ceil(seconds / attacked), quiet: bySize(plan, 4, 4, 1), attacked }
}

async function measureTurn(
  tracker: RunningRival,
  client: UdpClient,
  attacker: Worker,
  { quiet, attacked }: Lengths,
): Promise<Turn> {
  const enter = async (mode: AttackerMode) => {
    attacker.postMessage(mode)
    await sleep(SETTLE_MILLIS)
  }
  await enter('sink')
  const alone = await timeHonest(tracker.port, client, quiet)
  await enter('attack')
  const under = await timeHonest(tracker.port, client, attacked)
  const samples: [honest: number, all: number][] = []
  for (let n = 0; n < SHARE_SAMPLES; n++) samples.push(await countAnswer(client))
  const mib = memoryMib(processTree(tracker.pid))
  const p99 = quantile(under.millis, 0.99)
  return {
    asked: under.asked,
    answered: under.answered,
    p99,
    p99Ratio: p99 / quantile(alone.millis, 0.99),
    honest: sum(samples.map(([honest]) => honest)),
    all: sum(samples.map(([, all]) => all)),
    mib,
  }
}

function runOf(turns: readonly Turn[]): Run {
  const firstHalf = turns.slice(0, Math.ceil(turns.length / 2)).map(({ mib }) => mib)
  return {
    answeredPercent:
      (100 * sum(turns.map(({ answered }) => answered))) / sum(turns.map(({ asked }) => asked)),
    honestPercent: (100 * sum(turns.map(turn => turn.honest))) / sum(turns.map(({ all }) => all)),
    p99: median(turns.map(turn => turn.p99)),
    p99Ratio: median(turns.map(turn => turn.p99Ratio)),
    mibHalf: Math.max(...firstHalf),
    mib: Math.max(...turns.map(({ mib }) => mib)),
  }
}

async function measure(attack: Attack, memory: string, plan: Plan): Promise<Run> {
  const config = {
    frontend: { workers: 1 },
    engine: { memory },
    limits: {},
    log: { level: 'info' },
  }
  const rival = muster({ config, udp: { threads: 1 } })
  const tracker = await rival.start({ infoHashes: [], bodyBytes: 0 })
  let lines = 0
  const counting = tracker.line(() => {
    lines++
    return false
  })
  counting.catch(() => {})
  const sink = fork(SINK)
  const [sinkPort] = (await once(sink, 'message')) as [number]
  const data: AttackerData = { attack, port: tracker.port, sinkPort, infoHash: ATTACKED_HASH }
  const attacker = new Worker(ATTACKER, { workerData: data })
  try {
    await enterHonest(tracker.port)
    const client = await openClient(tracker.port, '127.0.2.1')
    const entered = await countHonest(client)
    const linesBefore = lines
    const lengths = lengthsOf(plan)
    const turns: Turn[] = []
    for (let n = 0; n < lengths.turns; n++) {
      turns.push(await measureTurn(tracker, client, attacker, lengths))
    }
    const peersLost = entered - (await countHonest(client))
    client.close()
    return { peers: entered, peersLost, ...runOf(turns), logLines: lines - linesBefore }
  } finally {
    await attacker.terminate()
    sink.disconnect()
    await tracker.stop()
  }
}

/** Whether `--seconds` asks for long attacks, such as 600 s. */
function isLong({ seconds }: Plan): boolean {
  return seconds >= 10
}

/** Seconds of each attack, without the quiet windows. */
function secondsOf(plan: Plan): number {
  return isLong(plan) ? plan.seconds : bySize(plan, 60, 30, 2)
}

function memoriesOf(plan: Plan): readonly string[] {
  if (plan.memory) return [plan.memory]
  return isLong(plan) ? ['64 MiB', '2 GiB'] : ['64 MiB']
}

export const attack: Scenario = {
  name: 'attack',
  about:
    'attacks from one address at 10 Mbit/s with the default limits, and their effect on honest clients',
  secondsMax: 4 * 3600,
  async run(plan) {
    const rows = createRows()
    const attacks = plan.size === 'smoke' ? [ATTACKS[0], ATTACKS[3]] : ATTACKS
    for (const memory of memoriesOf(plan)) {
      for (const kind of attacks) {
        const run = await measure(kind, memory, plan)
        process.stderr.write(`${kind}, ${memory}: ${JSON.stringify(run)}\n`)
        rows.add(`${kind}, ${memory}`, run)
      }
    }
    return {
      title: 'Attacks from one address',
      options: { seconds: secondsOf(plan), ...lengthsOf(plan), honestPeers: HONEST_PEERS },
      rows: rows.rows,
      notes: [
        'Quiet and attacked windows alternate. p99 and its ratio are medians of all turns, the ratio of each attacked window to the quiet one before it. In a quiet window the attacker sends the same traffic to another process, because it shares the processors with the tracker and the timed clients.',
        'Honest peers of answers: their share in a torrent with 100 honest seeders, which attacks of one torrent aim at.',
      ],
    }
  },
}
