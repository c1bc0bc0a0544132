import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { pinned } from '../rivals/rival.ts'
import type { HttpCommand, HttpLoad, HttpReport } from './http.ts'
import type { HttpsLoad, HttpsReport } from './https-connections.ts'
import type { UdpCommand, UdpLoad, UdpReport } from './udp.ts'

/** Time past the end of a run after which a silent generator has failed. */
const PATIENCE_MILLIS = 60_000
const FILL_MILLIS_MAX = 300_000

/** A process that answers each message with one message. */
function startGenerator(file: string, load: object, core?: number): ChildProcess {
  const path = fileURLToPath(new URL(file, import.meta.url))
  const [execPath, execArgv] = pinned(core, process.execPath, [])
  return fork(path, [JSON.stringify(load)], { execPath, execArgv })
}

async function ask<Report>(
  generator: ChildProcess,
  command: object,
  millisMax: number,
): Promise<Report> {
  const giveUp = new AbortController()
  const abort = () => giveUp.abort()
  const late = setTimeout(abort, millisMax)
  generator.once('exit', abort)
  try {
    const answer = once(generator, 'message', { signal: giveUp.signal })
    generator.send(command)
    return (await answer)[0] as Report
  } finally {
    clearTimeout(late)
    generator.off('exit', abort)
  }
}

export type HttpGenerator<Report = HttpReport> = {
  run(seconds: number): Promise<Report>
  stop(): void
}

/** `cpu` pins the generator to a processor. */
export function startHttpGenerator(load: HttpLoad, core?: number, tls = false): HttpGenerator {
  return httpGenerator(tls ? './https.js' : './http.js', load, core)
}

/** The same for TLS with a connection for each request. */
export function startHttpsGenerator(load: HttpsLoad, core?: number): HttpGenerator<HttpsReport> {
  return httpGenerator('./https-connections.js', load, core)
}

function httpGenerator<Report>(file: string, load: object, core?: number): HttpGenerator<Report> {
  const child = startGenerator(file, load, core)
  return {
    run: seconds => ask(child, { seconds } satisfies HttpCommand, seconds * 1000 + PATIENCE_MILLIS),
    stop: () => {
      child.kill('SIGKILL')
    },
  }
}

/** Starts a generator for a single run. */
export async function generateHttp(load: HttpLoad, seconds: number): Promise<HttpReport> {
  const generator = startHttpGenerator(load)
  try {
    return await generator.run(seconds)
  } finally {
    generator.stop()
  }
}

export type UdpGenerator = {
  /** Announces every peer once. */
  fill(): Promise<UdpReport>
  run(seconds: number): Promise<UdpReport>
  stop(): void
}

export function startUdpGenerator(load: UdpLoad): UdpGenerator {
  const child = startGenerator('./udp.js', load)
  return {
    fill: () => ask(child, { does: 'fill' } satisfies UdpCommand, FILL_MILLIS_MAX),
    run: seconds =>
      ask(child, { does: 'run', seconds } satisfies UdpCommand, seconds * 1000 + PATIENCE_MILLIS),
    stop: () => {
      child.kill('SIGKILL')
    },
  }
}
