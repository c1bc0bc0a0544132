import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { median } from './measure.ts'
import { bareLoop, fillEngine } from './micro/engine.ts'
import { machine } from './report/results.ts'
import { muster } from './rivals/muster.ts'
import { bareUdp, bareUws } from './rivals/rivals.ts'
import { bySize, type Plan } from './scenario.ts'
import { httpConnections, httpMix } from './scenarios/http.ts'
import { measureHttp } from './scenarios/measure-http.ts'
import { measureUdp, musterUdp, udpTask } from './scenarios/udp.ts'

/** The expected ratio to a bare baseline, by the name of its check. */
export type Expected = Readonly<Record<string, { readonly ratio: number; readonly from: string }>>

export type GuardOptions = {
  /** Multiple of the expected ratio that fails. */
  readonly bound: number
  /** Stores the measured ratios as the expected ones. */
  readonly record: boolean
}

/** The file is beside the sources, two folders above this module in dist. */
const FILE = fileURLToPath(new URL('../../bench/guard.json', import.meta.url))

/** Ratios of processor time to a bare baseline that runs in the same round. */
export type Check = (plan: Plan) => Promise<number[]>

const CHECKS: Readonly<Record<string, Check>> = {
  'engine alone / bare loop': async plan => {
    const peers = bySize(plan, 1_000_000, 1_000_000, 1000)
    const count = bySize(plan, 1_000_000, 500_000, 1000)
    const { announce } = fillEngine(peers / 100, peers)
    const bare = bareLoop(peers)
    announce(count / 4)
    bare(count / 4)
    return alternate(plan, async () => announce(count) / bare(count))
  },
  'HTTP, kept connections / bare uWebSockets.js': plan => {
    const task = {
      seconds: plan.seconds,
      connections: httpConnections(plan),
      keepAlive: true,
      rate: 0,
      mix: httpMix(plan),
      confined: false,
    }
    return alternate(plan, async () => {
      const own = await measureHttp(muster(), task, { infoHashes: [], bodyBytes: 0 })
      const bodyBytes = Math.round(own['bodyBytes'] ?? 0)
      const bare = await measureHttp(bareUws, task, { infoHashes: [], bodyBytes })
      return (own['cpuMicros'] ?? Number.NaN) / (bare['cpuMicros'] ?? Number.NaN)
    })
  },
  'UDP / bare recvmmsg echo': plan => {
    const whole = udpTask(plan)
    const clients = bySize(plan, 100_000, 100_000, 1000)
    const mix = { ...whole.mix, clients, torrents: clients / 100 }
    const task = { ...whole, seconds: plan.seconds, mix }
    return alternate(plan, async () => {
      const own = await measureUdp(musterUdp(1), task)
      const bodyBytes = Math.round(own['bodyBytes'] ?? 0)
      const bare = await measureUdp({ ...bareUdp, peersMax: 1000 }, task, bodyBytes)
      return (own['cpuMicros'] ?? Number.NaN) / (bare['cpuMicros'] ?? Number.NaN)
    })
  },
}

async function alternate(plan: Plan, round: () => Promise<number>): Promise<number[]> {
  const ratios: number[] = []
  for (let n = 0; n < plan.runs; n++) ratios.push(await round())
  return ratios
}

export type Guarded = {
  /** One TAP line for each check. */
  readonly lines: readonly string[]
  readonly measured: Readonly<Record<string, number>>
  readonly failed: number
}

/**
 * Runs each check, and repeats a failed one, which noise may have caused. The better one counts.
 */
export async function makeChecks(
  checks: Readonly<Record<string, Check>>,
  expected: Expected,
  bound: number,
  plan: Plan,
): Promise<Guarded> {
  const lines: string[] = []
  const measured: Record<string, number> = {}
  let failed = 0
  for (const [name, check] of Object.entries(checks)) {
    const wanted = expected[name]?.ratio ?? Number.NaN
    const limit = wanted * bound
    let ratio = median(await check(plan))
    if (!(ratio <= limit)) ratio = Math.min(ratio, median(await check(plan)))
    const isGood = ratio <= limit
    if (!isGood) failed++
    measured[name] = Number(ratio.toFixed(2))
    const text = `${name}: ${ratio.toFixed(2)} ×, expected ${wanted}, at most ${limit.toFixed(2)}`
    lines.push(`${isGood ? 'ok' : 'not ok'} ${lines.length + 1} - ${text}`)
  }
  return { lines, measured, failed }
}

/**
 * Measures the hot path against bare baselines and prints a TAP line for each check. Returns the
 * exit status, 1 if a ratio exceeds its bound.
 */
export async function guard(plan: Plan, { bound, record }: GuardOptions): Promise<number> {
  const expected = JSON.parse(readFileSync(FILE, 'utf8')) as Expected
  const { lines, measured, failed } = await makeChecks(CHECKS, expected, bound, plan)
  process.stdout.write(`${lines.join('\n')}\n`)
  if (!record) return failed > 0 ? 1 : 0
  const { cpu, commit, kernel, node } = machine()
  const from = `${cpu}, Linux ${kernel}, Node ${node}, commit ${commit}, ${plan.runs} runs of ${plan.seconds} s`
  const kept = Object.entries(measured).map(([name, ratio]) => [name, { ratio, from }] as const)
  writeFileSync(FILE, `${JSON.stringify(Object.fromEntries(kept), null, 2)}\n`)
  return 0
}
