import { connect, type Socket } from 'node:net'
import { type AnnounceMix, announceTargets } from './announces.ts'

/**
 * Load generator, a process of its own: announces over `connections` connections, one request at a time on each, for `seconds`. Prints its
 * report as JSON.
 */
export type HttpLoad = {
  readonly port: number
  readonly seconds: number
  readonly connections: number
  /** Reuse connections, or open one for each request. */
  readonly keepAlive: boolean
  readonly mix: AnnounceMix
}

export type HttpReport = {
  requests: number
  errors: number
  seconds: number
  /** Milliseconds. */
  p50: number
  p99: number
  /** Bytes of an answer's body, on average. */
  bodyBytes: number
  /** Processor time of the generator per second, of one core. */
  busy: number
}

const DISTINCT_REQUESTS = 16_384
const READ_BYTES = 16 * 1024
/** Latency is counted in steps of 10 µs, up to a second. */
const STEPS = 100_000

const load = JSON.parse(process.argv[2] ?? '{}') as HttpLoad
const tail = load.keepAlive ? '' : 'connection: close\r\n'
const requests = announceTargets(load.mix, DISTINCT_REQUESTS).map(target =>
  Buffer.from(
    `GET ${target} HTTP/1.1\r\nhost: 127.0.0.1:${load.port}\r\nuser-agent: qBittorrent/4.5.2\r\n${tail}\r\n`,
  ),
)
const latencies = new Uint32Array(STEPS)
let next = 0
let done = 0
let errors = 0
let bodyBytes = 0
let stopped = false

function settle(sentAt: number, body: number): void {
  const step = Math.min(STEPS - 1, Math.floor((performance.now() - sentAt) * 100))
  latencies[step] = (latencies[step] ?? 0) + 1
  done++
  bodyBytes += body
}

function nextRequest(): Buffer {
  next = (next + 1) % DISTINCT_REQUESTS
  return requests[next] as Buffer
}

/** Length of the body and where it begins, of the answer in `bytes`; undefined while its head is not whole. */
function readHead(bytes: Buffer): { at: number; length: number } | undefined {
  const end = bytes.indexOf('\r\n\r\n')
  if (end === -1) return undefined
  const [, digits] = /content-length: ?(\d+)/i.exec(bytes.toString('latin1', 0, end)) ?? []
  return { at: end + 4, length: Number(digits ?? -1) }
}

function open(): void {
  let sentAt = performance.now()
  let received = Buffer.alloc(0)
  let answered = false
  const buffer = Buffer.alloc(READ_BYTES)
  const socket: Socket = connect({
    port: load.port,
    host: '127.0.0.1',
    noDelay: true,
    onread: {
      buffer,
      callback: bytes => {
        received =
          received.length === 0
            ? buffer.subarray(0, bytes)
            : Buffer.concat([received, buffer.subarray(0, bytes)])
        const head = readHead(received)
        if (!head || received.length < head.at + head.length) {
          received = Buffer.from(received)
          return true
        }
        answered = true
        if (received[head.at] !== 0x64) errors++
        settle(sentAt, head.length)
        received = received.subarray(0, 0)
        if (stopped || !load.keepAlive) socket.destroy()
        else {
          sentAt = performance.now()
          answered = false
          socket.write(nextRequest())
        }
        return true
      },
    },
  })
  socket.write(nextRequest())
  socket.on('error', () => {})
  socket.on('close', () => {
    if (!answered && !stopped) errors++
    if (!stopped) open()
  })
}

function quantile(share: number): number {
  let left = done * share
  for (let step = 0; step < STEPS; step++) {
    left -= latencies[step] ?? 0
    if (left <= 0) return step / 100
  }
  return STEPS / 100
}

const begun = performance.now()
const cpu = process.cpuUsage()
for (let n = 0; n < load.connections; n++) open()
setTimeout(() => {
  stopped = true
  const seconds = (performance.now() - begun) / 1000
  const { user, system } = process.cpuUsage(cpu)
  const report: HttpReport = {
    requests: done,
    errors,
    seconds,
    p50: quantile(0.5),
    p99: quantile(0.99),
    bodyBytes: done > 0 ? bodyBytes / done : 0,
    busy: (user + system) / 1e6 / seconds,
  }
  process.stdout.write(JSON.stringify(report), () => process.exit(0))
}, load.seconds * 1000)
