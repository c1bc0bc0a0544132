import { execFile, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { pinned } from '../rivals/rival.ts'
import type { HttpLoad, HttpReport } from './http.ts'
import type { UdpCommand, UdpLoad, UdpReport } from './udp.ts'

/** A generator that says nothing for so long beyond its time is given up. */
const PATIENCE_MILLIS = 60_000
const FILL_MILLIS_MAX = 300_000

function built(file: string): string {
  return fileURLToPath(new URL(file, import.meta.url))
}

/** Runs a load on one processor, or on any, and resolves with its report. */
export async function generateHttp(load: HttpLoad, core?: number): Promise<HttpReport> {
  const words = [built('./http.js'), JSON.stringify(load)]
  const { stdout } = await promisify(execFile)(...pinned(core, process.execPath, words), {
    timeout: load.seconds * 1000 + PATIENCE_MILLIS,
    killSignal: 'SIGKILL',
  })
  return JSON.parse(stdout) as HttpReport
}

export type UdpGenerator = {
  /** Enters all peers. */
  fill(): Promise<UdpReport>
  run(seconds: number): Promise<UdpReport>
  stop(): void
}

export function startUdpGenerator(load: UdpLoad): UdpGenerator {
  const child = fork(built('./udp.js'), [JSON.stringify(load)])
  async function ask(command: UdpCommand, millisMax: number): Promise<UdpReport> {
    const signal = AbortSignal.timeout(millisMax)
    const answer = once(child, 'message', { signal })
    child.send(command)
    return (await answer)[0] as UdpReport
  }
  return {
    fill: () => ask({ does: 'fill' }, FILL_MILLIS_MAX),
    run: seconds => ask({ does: 'run', seconds }, seconds * 1000 + PATIENCE_MILLIS),
    stop: () => {
      child.kill('SIGKILL')
    },
  }
}
