import { type ChildProcess, spawn } from 'node:child_process'
import { connect, createServer } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

/** A tracker, or a baseline, that a scenario starts and measures. */
export type Rival = {
  readonly name: string
  /** Which connections it can be measured with. */
  readonly keepAlive: boolean
  /** Peers that it can be filled with in some seconds, where that is few. */
  readonly peersMax?: number
  /** Undefined when it is not installed, with the reason in `absent`. */
  start(options: RivalOptions): Promise<RunningRival>
  readonly absent: string | undefined
}

export type RivalOptions = {
  readonly infoHashes: readonly Buffer[]
  /** Bytes that a baseline's answers have. */
  readonly bodyBytes: number
}

export type RunningRival = { readonly pid: number; readonly port: number; stop(): Promise<void> }

const START_MILLIS_MAX = 10_000

/** A free port of 127.0.0.1. */
export async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  await new Promise(resolve => server.close(resolve))
  return typeof address === 'object' && address ? address.port : 0
}

const running = new Set<ChildProcess>()
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})
process.on('SIGINT', () => process.exit(130))
process.on('SIGTERM', () => process.exit(143))

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

/** Starts a program that will listen on `port` of 127.0.0.1, and waits until it does. */
export async function startProgram(
  program: string,
  words: readonly string[],
  port: number,
): Promise<RunningRival> {
  const child = spawn(program, words, { stdio: ['ignore', 'ignore', 'inherit'] })
  running.add(child)
  const gone = new Promise<void>(resolve => {
    child.once('exit', () => {
      running.delete(child)
      resolve()
    })
  })
  const until = performance.now() + START_MILLIS_MAX
  while (!(await accepts(port))) {
    if (child.exitCode !== null || performance.now() > until)
      throw new Error(`${program} did not start`)
    await sleep(20)
  }
  return {
    pid: child.pid ?? 0,
    port,
    async stop() {
      child.kill('SIGTERM')
      const late = setTimeout(() => child.kill('SIGKILL'), 5000)
      await gone
      clearTimeout(late)
    },
  }
}
