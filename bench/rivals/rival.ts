import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { connect } from 'node:net'
import { availableParallelism } from 'node:os'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'

/** A tracker or baseline that a scenario measures. */
export type Rival = {
  readonly name: string
  /** Maximum peers for a slow tracker, which takes some seconds to fill. */
  readonly peersMax?: number
  /** The reason that it cannot run here, or undefined. */
  readonly absent: string | undefined
  start(options: RivalOptions): Promise<RunningRival>
}

export type RivalOptions = {
  readonly infoHashes: readonly Buffer[]
  /** Bytes of a baseline's answers. */
  readonly bodyBytes: number
  /** Processor for all its processes. Undefined allows any. */
  readonly core?: number | undefined
}

/** A line of muster's log, parsed. */
export type LogLine = { readonly msg?: string; readonly time?: number } & Record<string, unknown>

export type RunningRival = {
  readonly pid: number
  /** Process of a tracker behind a proxy. */
  readonly behind?: number
  readonly port: number
  /** Resolves with the first matching log line, past lines included. Rejects at its exit. */
  line(fits: (line: LogLine) => boolean): Promise<LogLine>
  stop(): Promise<void>
}

const START_MILLIS_MAX = 60_000
const STOP_MILLIS_MAX = 30_000
const POLL_MILLIS = 10

const running = new Set<ChildProcess>()
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})
process.on('SIGINT', () => process.exit(130))
process.on('SIGTERM', () => process.exit(143))

export function absentProgram(program: string): string | undefined {
  try {
    execFileSync('which', [program], { stdio: 'ignore' })
    return undefined
  } catch {
    return `${program} is not installed`
  }
}

const canPin = absentProgram('taskset') === undefined && availableParallelism() > 1

/**
 * Processors for a tracker and its generator, one each. Undefined if there is only one processor or
 * taskset is not installed.
 */
export const TRACKER_CORE = canPin ? 0 : undefined
export const GENERATOR_CORE = canPin ? 1 : undefined

/** The command that runs a program on one processor. */
export function pinned(
  core: number | undefined,
  program: string,
  words: readonly string[],
): [program: string, words: string[]] {
  return core === undefined
    ? [program, [...words]]
    : ['taskset', ['-c', String(core), program, ...words]]
}

function accepts(port: number): Promise<boolean> {
  return new Promise(resolve => {
    const socket = connect(port, '127.0.0.1')
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
}

/** Whether a UDP socket of this machine is bound to the port. */
async function receives(port: number): Promise<boolean> {
  const local = `:${port.toString(16).toUpperCase().padStart(4, '0')} `
  return readFileSync('/proc/net/udp', 'latin1').includes(local)
}

export type Start = {
  readonly program: string
  readonly words: readonly string[]
  /** Port on 127.0.0.1 that it listens on. */
  readonly port: number
  readonly core?: number | undefined
  readonly folder?: string
  /** Log line after which it serves. Without one, it serves once its port is open. */
  readonly ready?: string
  /** Protocol of the port. Defaults to TCP. */
  readonly protocol?: 'tcp' | 'udp' | undefined
  /** Signal that ends it. Defaults to SIGTERM. */
  readonly stopSignal?: NodeJS.Signals
}

/** Starts a program and waits until it serves. */
export async function startProgram(start: Start): Promise<RunningRival> {
  const [program, words] = pinned(start.core, start.program, start.words)
  const child = spawn(program, words, {
    stdio: ['ignore', start.ready ? 'pipe' : 'ignore', 'inherit'],
    cwd: start.folder,
  })
  running.add(child)
  const gone = new Promise<void>(resolve => {
    child.once('exit', () => {
      running.delete(child)
      resolve()
    })
  })
  const lines = readLines(child)
  const line: RunningRival['line'] = fits =>
    Promise.race([
      lines.line(fits),
      gone.then(() => {
        throw new Error(`${start.program} ended early`)
      }),
    ])
  const late = setTimeout(() => child.kill('SIGKILL'), START_MILLIS_MAX)
  if (start.ready) await line(({ msg }) => msg === start.ready)
  else {
    const isOpen = start.protocol === 'udp' ? receives : accepts
    while (!(await isOpen(start.port))) {
      if (child.exitCode !== null || child.signalCode !== null)
        throw new Error(`${start.program} did not start`)
      await sleep(POLL_MILLIS)
    }
  }
  clearTimeout(late)
  return {
    pid: child.pid ?? 0,
    port: start.port,
    line,
    async stop() {
      child.kill(start.stopSignal ?? 'SIGTERM')
      const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MILLIS_MAX)
      await gone
      clearTimeout(timer)
    },
  }
}

function readLines({ stdout }: ChildProcess) {
  const seen: LogLine[] = []
  const waiting = new Set<() => void>()
  if (stdout) {
    createInterface({ input: stdout }).on('line', text => {
      try {
        seen.push(JSON.parse(text) as LogLine)
      } catch {
        seen.push({ msg: text })
      }
      for (const look of [...waiting]) look()
    })
  }
  return {
    line: (fits: (line: LogLine) => boolean) =>
      new Promise<LogLine>(resolve => {
        const look = () => {
          const found = seen.find(fits)
          if (!found) return
          waiting.delete(look)
          resolve(found)
        }
        waiting.add(look)
        look()
      }),
  }
}
