import { createRandom, randomBelow } from '../../src/engine/tables/random.ts'
import { openEpoll, socketAddress } from './epoll.ts'
import { bodyLength, isDictionary } from './http-answer.ts'
import { createLatencies, type Latencies } from './latencies.ts'
import { type HttpRequestText, httpRequests, type Mix } from './mix.ts'

/**
 * Load generator in its own process. A message starts a run of some seconds over `connections`
 * connections with one request at a time on each, and its answer is the report.
 */
export type HttpLoad = {
  readonly port: number
  readonly family: 4 | 6
  readonly connections: number
  /** Whether connections are reused. Otherwise each request opens one. */
  readonly keepAlive: boolean
  /**
   * Requests per second at random times, independent of the answers. The latency counts from that
   * time. 0 sends as fast as the tracker answers.
   */
  readonly rate: number
  readonly mix: Mix
  /** The number of the first client. */
  readonly firstClient?: number
}

export type HttpCommand = { readonly seconds: number }

export type HttpReport = {
  requests: number
  /** Connections that closed without an answer, and invalid answers. */
  errors: number
  seconds: number
  /** Milliseconds, or 0 if there was no answer. */
  p50: number
  p99: number
  /** Average bytes of an answer's body. */
  bodyBytes: number
  /** Share of one core that the generator used. */
  busy: number
}

/** Maximum. Few clients use fewer. */
const DISTINCT_REQUESTS = 16_384
/** Source addresses of clients that open a connection for each request. IPv6 loopback has one. */
const ADDRESSES = 4096
const READ_BYTES = 64 * 1024
const WAIT_MILLIS_MAX = 100
/** Wait for the last answers of a run. */
const DRAIN_MILLIS_MAX = 500
/** Pause after a connection that closed at once, to avoid a busy loop. */
const REFUSED_MILLIS = 1

const IDLE = 0
const CONNECTING = 1
const WAITING = 2

function requestsOf(load: HttpLoad, sources: number): HttpRequestText[] {
  const host = `${load.family === 4 ? '127.0.0.1' : '[::1]'}:${load.port}`
  const count = Math.min(DISTINCT_REQUESTS, load.mix.clients * 8)
  const { firstClient = 0, keepAlive } = load
  return httpRequests(load.mix, { host, keepAlive, sources, firstClient }, count)
}

/** Outcomes of the requests of one run. */
type Tally = { requests: number; errors: number; bodyBytes: number; readonly latencies: Latencies }

function createTally(): Tally {
  return { requests: 0, errors: 0, bodyBytes: 0, latencies: createLatencies() }
}

/** The connections by slot, with their states. */
function createConnections(load: HttpLoad) {
  const epoll = openEpoll()
  const server = socketAddress(load.family === 4 ? [127, 0, 0, 1] : '::1', load.port)
  const sources = load.keepAlive ? load.connections : ADDRESSES
  const requests = requestsOf(load, sources)
  const addresses = Array.from({ length: sources }, (_, n) =>
    load.family === 4 ? socketAddress([127, 1, n >> 7, (n & 127) + 1], 0) : undefined,
  )
  /** Requests of each persistent connection, from the clients at its address. */
  const own = Array.from({ length: load.connections }, (_, slot) =>
    load.keepAlive ? requests.filter(({ source }) => source === slot) : requests,
  ).map(list => (list.length > 0 ? list : requests))
  const next = new Uint32Array(load.connections)
  const fds = new Int32Array(load.connections).fill(-1)
  const states = new Uint8Array(load.connections)
  const sentAt = new Float64Array(load.connections)
  const sending: (Buffer | undefined)[] = []
  const partial: (Buffer | undefined)[] = []
  const idle = [...fds.keys()]
  const buffer = Buffer.alloc(READ_BYTES)
  let shared = 0
  let tally = createTally()

  function release(slot: number): void {
    states[slot] = IDLE
    partial[slot] = undefined
    idle.push(slot)
  }

  function drop(slot: number): void {
    epoll.close(fds[slot] as number)
    fds[slot] = -1
  }

  function fail(slot: number): void {
    tally.errors++
    drop(slot)
    release(slot)
  }

  function writable(slot: number): void {
    const fd = fds[slot] as number
    if (epoll.send(fd, sending[slot] as Buffer)) {
      states[slot] = WAITING
      epoll.wantWrite(fd, slot, false)
    } else fail(slot)
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
    if (!isDictionary(bytes, length)) tally.errors++
    tally.latencies.add(performance.now() - (sentAt[slot] as number))
    tally.requests++
    tally.bodyBytes += length
    if (!load.keepAlive) drop(slot)
    release(slot)
  }

  return {
    get hasIdle() {
      return idle.length > 0
    },
    get allIdle() {
      return idle.length === load.connections
    },
    /**
     * Sends a request on the connection that has been idle longest. The latency counts from `at`.
     */
    start(at: number): void {
      const slot = idle.shift() as number
      const list = own[slot] as HttpRequestText[]
      const turn = load.keepAlive ? (next[slot] as number) : shared++
      next[slot] = turn + 1
      const request = list[turn % list.length] as HttpRequestText
      sentAt[slot] = at
      sending[slot] = request.bytes
      if (fds[slot] === -1) {
        const source = addresses[load.keepAlive ? slot : request.source]
        fds[slot] = epoll.connect(server, source, slot)
        if (fds[slot] === -1) {
          tally.errors++
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
    },
    /** Waits at most `millis` and reads the answers. */
    poll(millis: number): void {
      const events = epoll.wait(millis)
      for (let n = 0; n < events; n++) {
        const slot = epoll.slotOf(n)
        if (states[slot] === CONNECTING) writable(slot)
        else readable(slot)
      }
    },
    /** Closes connections without an answer, and returns and resets the tally. */
    finish(): Tally {
      for (const [slot, state] of states.entries()) {
        if (state === IDLE) continue
        drop(slot)
        release(slot)
      }
      const done = tally
      tally = createTally()
      return done
    },
  }
}

function createHttpGenerator(load: HttpLoad) {
  const connections = createConnections(load)
  const random = createRandom(load.mix.seed + 1)
  const pauseMillis = () => (-Math.log(1 - randomBelow(random, 1e6) / 1e6) / load.rate) * 1000

  function keepBusy(end: number): void {
    for (let now = performance.now(); now < end; now = performance.now()) {
      while (connections.hasIdle) connections.start(performance.now())
      connections.poll(Math.min(WAIT_MILLIS_MAX, end - now))
    }
  }

  function keepRate(begun: number, end: number): void {
    let due = begun
    for (let now = begun; now < end; now = performance.now()) {
      for (; due <= now && connections.hasIdle; due += pauseMillis()) connections.start(due)
      const until = connections.hasIdle ? Math.min(due, end) : end
      connections.poll(Math.max(0, Math.min(WAIT_MILLIS_MAX, until - now)))
    }
  }

  return function run(seconds: number): HttpReport {
    const cpu = process.cpuUsage()
    const begun = performance.now()
    const end = begun + seconds * 1000
    if (load.rate === 0) keepBusy(end)
    else keepRate(begun, end)
    while (!connections.allIdle && performance.now() < end + DRAIN_MILLIS_MAX) connections.poll(10)
    const took = (performance.now() - begun) / 1000
    const { user, system } = process.cpuUsage(cpu)
    const { requests, errors, bodyBytes, latencies } = connections.finish()
    return {
      requests,
      errors,
      seconds: took,
      p50: latencies.quantile(0.5),
      p99: latencies.quantile(0.99),
      bodyBytes: requests > 0 ? bodyBytes / requests : 0,
      busy: (user + system) / 1e6 / took,
    }
  }
}

if (process.send) {
  const run = createHttpGenerator(JSON.parse(process.argv[2] ?? '{}') as HttpLoad)
  process.on('message', ({ seconds }: HttpCommand) => {
    process.send?.(run(seconds))
  })
}
