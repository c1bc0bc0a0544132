import { connect } from 'node:tls'
import type { HttpCommand, HttpLoad, HttpReport } from './http.ts'
import { bodyLength, isDictionary } from './http-answer.ts'
import { createLatencies } from './latencies.ts'
import { httpRequests } from './mix.ts'

/**
 * The generator of http.ts over persistent TLS connections, as fast as they are answered. Node's
 * TLS is slower than the tracker, so only the tracker's processor time is meaningful.
 */
const DISTINCT_REQUESTS = 16_384

function createHttpsGenerator(load: HttpLoad) {
  const shape = { host: `127.0.0.1:${load.port}`, keepAlive: true, sources: load.connections }
  const requests = httpRequests(load.mix, shape, Math.min(DISTINCT_REQUESTS, load.mix.clients * 8))
  let latencies = createLatencies()
  let next = 0
  let done = 0
  let errors = 0
  let bodyBytes = 0
  let isRunning = false

  /** A connection with one request in flight during a run. */
  function open(): Promise<() => void> {
    const socket = connect({ host: '127.0.0.1', port: load.port, rejectUnauthorized: false })
    let sentAt = 0
    let received: Buffer = Buffer.alloc(0)
    const send = () => {
      sentAt = performance.now()
      socket.write(requests[next++ % requests.length]?.bytes ?? '')
    }
    socket.on('data', (bytes: Buffer) => {
      received = received.length === 0 ? bytes : Buffer.concat([received, bytes])
      const length = bodyLength(received)
      if (length === -1) return
      if (!isDictionary(received, length)) errors++
      received = received.subarray(0, 0)
      latencies.add(performance.now() - sentAt)
      done++
      bodyBytes += length
      if (isRunning) send()
    })
    socket.on('error', () => errors++)
    return new Promise(resolve => socket.once('secureConnect', () => resolve(send)))
  }

  const opened = Promise.all(Array.from({ length: load.connections }, open))

  return async function run(seconds: number): Promise<HttpReport> {
    const senders = await opened
    latencies = createLatencies()
    done = 0
    errors = 0
    bodyBytes = 0
    isRunning = true
    const cpu = process.cpuUsage()
    const begun = performance.now()
    for (const send of senders) send()
    await new Promise(resolve => setTimeout(resolve, seconds * 1000))
    isRunning = false
    const took = (performance.now() - begun) / 1000
    const { user, system } = process.cpuUsage(cpu)
    const report = {
      requests: done,
      errors,
      seconds: took,
      p50: latencies.quantile(0.5),
      p99: latencies.quantile(0.99),
      bodyBytes: done > 0 ? bodyBytes / done : 0,
      busy: (user + system) / 1e6 / took,
    }
    // Reads the last answers, so that they do not mix with the next run.
    await new Promise(resolve => setTimeout(resolve, 100))
    return report
  }
}

if (process.send) {
  const run = createHttpsGenerator(JSON.parse(process.argv[2] ?? '{}') as HttpLoad)
  process.on('message', async ({ seconds }: HttpCommand) => {
    process.send?.(await run(seconds))
  })
}
