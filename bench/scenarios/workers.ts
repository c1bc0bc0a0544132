import { muster } from '../rivals/muster.ts'
import { bySize, createRows, type Scenario } from '../scenario.ts'
import { httpConnections, httpMix } from './http.ts'
import { measureHttp } from './measure-http.ts'
import { measureUdp, musterUdp, udpTask } from './udp.ts'

/** Name of the row for a count of worker processes. */
export function workersName(workers: number): string {
  return workers === 0 ? 'no workers, one process' : `${workers} workers`
}

export const workers: Scenario = {
  name: 'workers',
  about: 'muster over HTTP with 0, 1 and 2 worker processes',
  secondsMax: 240,
  async run(plan) {
    const mix = httpMix(plan)
    const connections = httpConnections(plan)
    const task = {
      seconds: plan.seconds,
      connections,
      keepAlive: true,
      rate: 0,
      mix,
      confined: false,
    }
    const rows = createRows()
    for (let round = 0; round < plan.runs; round++) {
      for (const count of bySize(plan, [0, 1, 2], [0, 1, 2], [0, 2])) {
        const rival = muster({ config: { frontend: { workers: count } } })
        const run = await measureHttp(rival, task, { infoHashes: [], bodyBytes: 0 })
        rows.add(workersName(count), run)
      }
    }
    return {
      title: 'Worker processes',
      options: task,
      rows: rows.rows,
      base: { name: workersName(0), metric: 'cpuMicros' },
      notes: [
        'HTTP over kept connections. The generator shares the processors. The engine thread runs in the primary.',
      ],
    }
  },
}

export function udpThreadsName(threads: number): string {
  return `${threads} UDP threads`
}

export const threads: Scenario = {
  name: 'threads',
  about: 'muster with 1, 2 and 4 engine threads over HTTP, and 1, 2 and 4 UDP threads',
  secondsMax: 360,
  async run(plan) {
    const rows = createRows()
    const rounds = Math.ceil(plan.runs / 2)
    const http = {
      seconds: plan.seconds,
      connections: httpConnections(plan),
      keepAlive: true,
      rate: 0,
      mix: httpMix(plan),
      confined: false,
    }
    const task = udpTask(plan)
    const counts = bySize(plan, [1, 2, 4], [1, 2, 4], [2])
    const udp = {
      ...task,
      mix: {
        ...task.mix,
        clients: bySize(plan, 200_000, 100_000, 200),
        torrents: bySize(plan, 2000, 1000, 10),
      },
    }
    for (let round = 0; round < rounds; round++) {
      for (const count of counts) {
        const config = { engine: { threads: count }, frontend: { workers: 2 } }
        const run = await measureHttp(muster({ config }), http, { infoHashes: [], bodyBytes: 0 })
        rows.add(`${count} engine threads, HTTP with 2 workers`, run)
      }
      for (const count of counts) {
        rows.add(udpThreadsName(count), await measureUdp(musterUdp(count), udp))
      }
    }
    return {
      title: 'Engine threads and UDP threads',
      options: { http, udp, rounds },
      rows: rows.rows,
      notes: [
        'The generators share the processors. Rows with more threads than processors show the cost of context switches, not the gain from more processors.',
      ],
    }
  },
}
