import type { TcpNetConnectOpts } from 'node:net'
import { connect } from 'node:tls'
import type { HttpCommand, HttpLoad, HttpReport } from './http.ts'
import { bodyLength, isDictionary } from './http-answer.ts'
import { createLatencies } from './latencies.ts'
import { httpRequests } from './mix.ts'

/**
 * The generator of http.ts for TLS with a connection for each request, from many addresses, as fast
 * as they are answered. Each slot is a client: if `resume` is set, it resumes its last session.
 * Node's handshake costs more than the tracker's, so only the tracker's processor time is
 * meaningful.
 */
export type HttpsLoad = Omit<HttpLoad, 'family' | 'keepAlive' | 'rate'> & {
  readonly resume: boolean
}

export type HttpsReport = HttpReport & {
  /** Answered requests whose session the tracker resumed. */
  readonly resumed: number
}

const DISTINCT_REQUESTS = 4096
/** Addresses of clients. One address would run out of ports within seconds. */
const ADDRESSES = 4096
/** Pause after a connection that failed, to avoid a busy loop. */
const REFUSED_MILLIS = 10

type Tally = Omit<HttpsReport, 'seconds' | 'p50' | 'p99' | 'busy'>

function createHttpsGenerator(load: HttpsLoad) {
  const shape = { host: `127.0.0.1:${load.port}`, keepAlive: false, sources: ADDRESSES }
  const requests = httpRequests(load.mix, shape, Math.min(DISTINCT_REQUESTS, load.mix.clients * 8))
  const sessions: (Buffer | undefined)[] = []
  let latencies = createLatencies()
  let tally = { requests: 0, errors: 0, bodyBytes: 0, resumed: 0 }
  let next = 0

  /** `tls.connect` passes these on to `net.connect`. */
  function addresses(source: number): TcpNetConnectOpts {
    const localAddress = `127.1.${source >> 7}.${(source & 127) + 1}`
    return { host: '127.0.0.1', port: load.port, localAddress }
  }

  /** Sends one request over a connection of its own. Resolves when it is closed. */
  function request(slot: number): Promise<void> {
    const sent = requests[next++ % requests.length]
    const { bytes = '', source = 0 } = sent ?? {}
    const session = load.resume ? sessions[slot] : undefined
    const begun = performance.now()
    return new Promise(resolve => {
      let received: Buffer = Buffer.alloc(0)
      let isAnswered = false
      const socket = connect({
        ...addresses(source),
        rejectUnauthorized: false,
        ...(session && { session }),
      })
      socket.on('session', (latest: Buffer) => {
        sessions[slot] = latest
      })
      socket.on('secureConnect', () => socket.write(bytes))
      socket.on('data', (more: Buffer) => {
        received = Buffer.concat([received, more])
        const length = bodyLength(received)
        if (length === -1 || isAnswered) return
        isAnswered = true
        if (!isDictionary(received, length)) tally.errors++
        if (socket.isSessionReused()) tally.resumed++
        latencies.add(performance.now() - begun)
        tally.requests++
        tally.bodyBytes += length
        socket.destroy()
      })
      socket.on('error', () => {})
      socket.on('close', () => {
        if (isAnswered) return resolve()
        tally.errors++
        setTimeout(resolve, REFUSED_MILLIS)
      })
    })
  }

  return async function run(seconds: number): Promise<HttpsReport> {
    latencies = createLatencies()
    tally = { requests: 0, errors: 0, bodyBytes: 0, resumed: 0 }
    const cpu = process.cpuUsage()
    const begun = performance.now()
    const end = begun + seconds * 1000
    const client = async (_: unknown, slot: number) => {
      while (performance.now() < end) await request(slot)
    }
    await Promise.all(Array.from({ length: load.connections }, client))
    return { ...tally, ...times(begun, cpu), ...averages(tally) }
  }

  function times(begun: number, before: NodeJS.CpuUsage) {
    const seconds = (performance.now() - begun) / 1000
    const { user, system } = process.cpuUsage(before)
    return { seconds, busy: (user + system) / 1e6 / seconds }
  }

  function averages({ bodyBytes, requests }: Tally) {
    return {
      p50: latencies.quantile(0.5),
      p99: latencies.quantile(0.99),
      bodyBytes: requests > 0 ? bodyBytes / requests : 0,
    }
  }
}

if (process.send) {
  const run = createHttpsGenerator(JSON.parse(process.argv[2] ?? '{}') as HttpsLoad)
  process.on('message', async ({ seconds }: HttpCommand) => {
    process.send?.(await run(seconds))
  })
}
