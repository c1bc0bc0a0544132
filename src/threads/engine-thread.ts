import { parentPort, workerData } from 'node:worker_threads'
import { unixSeconds } from '../clock.ts'
import { EngineCounter, frameSeconds } from '../counters/engine.ts'
import { answer, answerBytesMax } from '../engine/answer.ts'
import { openDeltaRing } from '../engine/delta-ring.ts'
import { openEngine, setRules } from '../engine/engine.ts'
import { createLeaveCursor, leaveSlice } from '../engine/leave.ts'
import { createSweepCursor, sweepSlice, sweepSlicesPerPass } from '../engine/sweep.ts'
import type { Answer } from '../link/link.ts'
import { servePort } from '../link/port.ts'
import type { LinkServer } from '../link/server.ts'
import { serveSocket } from '../link/socket.ts'
import { nameThread } from '../native/thread-name.ts'
import type { EngineThreadStart, FromEngineThread, ToEngineThread } from './messages.ts'

/** Maximum time for which the sweep, or the removal of peers, delays frontends. */
const SWEEP_SLICE_MILLIS_MAX = 1
const SWEEP_TICK_MILLIS = 100
const SWEEP_BEHIND_TICK_MILLIS = 5

const start = workerData as EngineThreadStart
const engine = openEngine(start.tables, start.settings)
if (start.ring) engine.ring = openDeltaRing(start.ring)
nameThread(`engine-${start.index}`)
const servers: LinkServer[] = []
const { counters } = start

/**
 * Unix time, updated at every tick of the sweep: reading the clock for each record would cost more
 * than finding its torrent.
 */
let nowSeconds = unixSeconds(start.clockOffset)

const answerRecord: Answer = (request, at, reply, replyAt) =>
  answer(engine, request, at, reply, replyAt, nowSeconds)

/** Records the end of a pass that began at `begun`, and returns the time. */
function notePass(begun: number): number {
  const ended = performance.now()
  counters[EngineCounter.sweepPass] = (ended - begun) / 1000
  counters[EngineCounter.sweepEnded] = nowSeconds
  return ended
}

/** Sweeps stripes when they are due, evenly over the interval, and serves requests in between. */
function startSweep(seconds: number): () => void {
  const cursor = createSweepCursor(start.index, start.threads)
  const slicesPerPass = sweepSlicesPerPass(engine, cursor)
  const perSecond = slicesPerPass / seconds
  const begun = performance.now()
  let done = 0
  let passBegun = begun
  let timer: NodeJS.Timeout | undefined
  const tick = () => {
    Atomics.add(start.rounds, 0, 1)
    nowSeconds = unixSeconds(start.clockOffset)
    const now = performance.now()
    const due = ((now - begun) / 1000) * perSecond
    while (done < due && performance.now() - now < SWEEP_SLICE_MILLIS_MAX) {
      if (!sweepSlice(engine, cursor, nowSeconds)) continue
      if (++done % slicesPerPass === 0) passBegun = notePass(passBegun)
    }
    counters[EngineCounter.sweepBusy] =
      (counters[EngineCounter.sweepBusy] as number) + (performance.now() - now) / 1000
    timer = setTimeout(tick, done < due ? SWEEP_BEHIND_TICK_MILLIS : SWEEP_TICK_MILLIS)
  }
  tick()
  return () => clearTimeout(timer)
}

let leaveTimer: NodeJS.Immediate | undefined

/**
 * Removes the peers of dead workers from the thread's stripes, beginning with the first, and serves
 * requests in between.
 */
function removePeersOfDeadWorkers(): void {
  clearImmediate(leaveTimer)
  const cursor = createLeaveCursor(start.index, start.threads)
  const tick = () => {
    const until = performance.now() + SWEEP_SLICE_MILLIS_MAX
    let done = false
    while (!done && performance.now() < until) done = leaveSlice(engine, cursor)
    if (!done) leaveTimer = setImmediate(tick)
  }
  tick()
}

servers.push(
  await serveSocket(start.socketPath, answerRecord, answerBytesMax, frameSeconds(counters)),
)
let stopSweep = startSweep(start.sweepSeconds)

parentPort?.on('message', async (message: ToEngineThread) => {
  if (message.type === 'link') {
    servers.push(servePort(message.port, answerRecord, answerBytesMax, frameSeconds(counters)))
    return
  }
  if (message.type === 'workers-died') {
    removePeersOfDeadWorkers()
    return
  }
  stopSweep()
  if (message.type === 'rules') {
    setRules(engine, start.tables, message.rules)
    stopSweep = startSweep(message.sweepSeconds)
    return
  }
  clearImmediate(leaveTimer)
  await Promise.all(servers.map(server => server.close()))
  parentPort?.close()
})
parentPort?.postMessage({ type: 'ready' } satisfies FromEngineThread)
