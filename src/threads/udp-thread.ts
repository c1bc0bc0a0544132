import { parentPort, workerData } from 'node:worker_threads'
import { unixSeconds } from '../clock.ts'
import { answer, openEngine } from '../engine/engine.ts'
import { startDgramServer } from '../frontends/udp/dgram.ts'
import { countRound, receiveLoop } from '../frontends/udp/receive-loop.ts'
import type { UdpService } from '../frontends/udp/respond.ts'
import type { UdpThreadStart } from '../serving/messages.ts'

/** Entry of a UDP thread: answers datagrams out of the shared tables. The loop of recvmmsg takes the thread for itself. */

/** An event loop that turns counts a round so often. */
const DGRAM_ROUND_MILLIS = 250

const start = workerData as UdpThreadStart
const engine = openEngine(start.tables, start.settings)
let now = unixSeconds(start.clockOffset)

const service: UdpService = {
  answer: (request, at, reply, replyAt) => answer(engine, request, at, reply, replyAt, now),
  rules: start.rules,
  pathRules: start.pathRules,
  secret: start.secret,
  counters: start.counters,
  trustedProxies: start.trustedProxies,
  nowSeconds() {
    now = unixSeconds(start.clockOffset)
    return now
  },
}

if (start.socket) receiveLoop(start.socket, service, start.control)
else {
  const server = await startDgramServer(start.dgram, service)
  const rounds = setInterval(() => countRound(start.control), DGRAM_ROUND_MILLIS)
  parentPort?.once('message', async () => {
    clearInterval(rounds)
    await server.close()
  })
  parentPort?.postMessage('ready')
}
