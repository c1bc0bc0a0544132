import { createRandom, randomBelow } from '../../src/engine/tables/random.ts'
import { openEpoll, socketAddress } from './epoll.ts'
import { createLatencies } from './latencies.ts'
import { httpRequests, type Mix } from './mix.ts'

/**
 * Load generator, a process of its own: requests over `connections` connections, one at a time on each, for `seconds`. Prints its report as
 * JSON.
 */
export type HttpLoad = {
  readonly port: number
  readonly family: 4 | 6
  readonly seconds: number
  readonly connections: number
  /** Reuse connections, or open one for each request. */
  readonly keepAlive: boolean
  /** Requests a second, at random moments, whether or not answers come (latency counts from that moment); 0: as fast as they are answered. */
  readonly rate: number
  readonly mix: Mix
}

export type HttpReport = {
  requests: number
  /** Connections that ended without the answer, and answers that are no tracker's. */
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

/** At most; fewer for few clients. */
const DISTINCT_REQUESTS = 16_384
/** Addresses of clients that open a connection for each request; IPv6 loopback has only one. */
const ADDRESSES = 4096
const READ_BYTES = 64 * 1024
const WAIT_MILLIS_MAX = 100
/** Of a tracker that closes at once, so that we do not spin. */
const REFUSED_MILLIS = 1

const IDLE = 0
const CONNECTING = 1
const WAITING = 2

function generate(load: HttpLoad): HttpReport {
  const { keepAlive, rate } = load
  const epoll = openEpoll()
  const host = load.family === 4 ? [127, 0, 0, 1] : '::1'
  const server = socketAddress(host, load.port)
  const sources = keepAlive ? load.connections : ADDRESSES
  const shape = {
    host: `${load.family === 4 ? '127.0.0.1' : '[::1]'}:${load.port}`,
    keepAlive,
    sources,
  }
  const requests = httpRequests(load.mix, shape, Math.min(DISTINCT_REQUESTS, load.mix.clients * 8))
  const addresses = Array.from({ length: sources }, (_, n) =>
    load.family === 4 ? socketAddress([127, 1, n >> 7, (n & 127) + 1], 0) : undefined,
  )
  /** Requests of each source, where a connection is one. */
  const own = Array.from({ length: load.connections }, (_, slot) =>
    keepAlive ? requests.filter(({ source }) => source === slot) : requests,
  ).map(list => (list.length > 0 ? list : requests))
  const next = new Uint32Array(load.connections)
  const fds = new Int32Array(load.connections).fill(-1)
  const states = new Uint8Array(load.connections)
  const sentAt = new Float64Array(load.connections)
  const sending: (Buffer | undefined)[] = []
  const partial: (Buffer | undefined)[] = []
  const idle: number[] = []
  const latencies = createLatencies()
  const random = createRandom(load.mix.seed + 1)
  const buffer = Buffer.alloc(READ_BYTES)
  let shared = 0
  let errors = 0
  let bodyBytes = 0
  let done = 0

  function start(slot: number, at: number): void {
    const list = own[slot] as typeof requests
    const turn = keepAlive ? (next[slot] as number) : shared++
    next[slot] = turn + 1
    const request = list[turn % list.length] as (typeof requests)[number]
    sentAt[slot] = at
    sending[slot] = request.bytes
    if (fds[slot] === -1) {
      const source = addresses[keepAlive ? slot : request.source]
      fds[slot] = epoll.connect(server, source, slot)
      if (fds[slot] === -1) {
        errors++
        release(slot)
        epoll.wait(REFUSED_MILLIS)
        return
      }
    }
    if (epoll.send(fds[slot] as number, request.bytes)) states[slot] = WAITING
    else {
      states[slot] = CONNECTING
      epoll.wantWrite(fds[slot] as number, slot, true)
    }
  }

  function release(slot: number): void {
    states[slot] = IDLE
    partial[slot] = undefined
    idle.push(slot)
  }

  function drop(slot: number): void {
    epoll.close(fds[slot] as number)
    fds[slot] = -1
  }

  function writable(slot: number): void {
    const fd = fds[slot] as number
    if (epoll.send(fd, sending[slot] as Buffer)) {
      states[slot] = WAITING
      epoll.wantWrite(fd, slot, false)
    } else fail(slot)
  }

  function fail(slot: number): void {
    errors++
    drop(slot)
    release(slot)
  }

  function readable(slot: number): void {
    const count = epoll.receive(fds[slot] as number, buffer)
    if (states[slot] === IDLE) drop(slot)
    else if (count <= 0) fail(slot)
    else take(slot, count)
  }

  function take(slot: number, count: number): void {
    const before = partial[slot]
    const bytes = before
      ? Buffer.concat([before, buffer.subarray(0, count)])
      : buffer.subarray(0, count)
    const length = bodyLength(bytes)
    if (length === -1) {
      partial[slot] = Buffer.from(bytes)
      return
    }
    if (bytes[bytes.length - length] !== 0x64) errors++
    latencies.add(performance.now() - (sentAt[slot] as number))
    done++
    bodyBytes += length
    if (!keepAlive) drop(slot)
    release(slot)
  }

  for (let slot = 0; slot < load.connections; slot++) idle.push(slot)
  const cpu = process.cpuUsage()
  const begun = performance.now()
  const end = begun + load.seconds * 1000
  let due = begun
  for (let now = begun; now < end; now = performance.now()) {
    while (idle.length > 0 && (rate === 0 || due <= now)) {
      start(idle.shift() as number, rate === 0 ? performance.now() : due)
      if (rate > 0) due += (-Math.log(1 - randomBelow(random, 1e6) / 1e6) / rate) * 1000
    }
    const until = rate > 0 && idle.length > 0 ? Math.min(due, end) : end
    const events = epoll.wait(Math.max(0, Math.min(WAIT_MILLIS_MAX, until - now)))
    for (let n = 0; n < events; n++) {
      const slot = epoll.slotOf(n)
      if (states[slot] === CONNECTING) writable(slot)
      else readable(slot)
    }
  }
  const seconds = (performance.now() - begun) / 1000
  const { user, system } = process.cpuUsage(cpu)
  return {
    requests: done,
    errors,
    seconds,
    p50: latencies.quantile(0.5),
    p99: latencies.quantile(0.99),
    bodyBytes: done > 0 ? bodyBytes / done : 0,
    busy: (user + system) / 1e6 / seconds,
  }
}

const CONTENT_LENGTH = /content-length: ?(\d+)/i

/** Length of the body of the answer in `bytes`; -1 while it is not whole. */
function bodyLength(bytes: Buffer): number {
  const end = bytes.indexOf('\r\n\r\n')
  if (end === -1) return -1
  const [, digits] = CONTENT_LENGTH.exec(bytes.toString('latin1', 0, end)) ?? []
  const length = Number(digits ?? 0)
  return bytes.length >= end + 4 + length ? length : -1
}

process.stdout.write(JSON.stringify(generate(JSON.parse(process.argv[2] ?? '{}') as HttpLoad)))
