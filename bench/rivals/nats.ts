import { freePort } from './free-port.ts'
import { NATS_SERVER } from './nats-program.ts'
import { type RunningRival, startProgram } from './rival.ts'

/** A server that can be killed and started again on the same port. */
export class NatsServer {
  readonly port: number
  #running: RunningRival

  private constructor(port: number, running: RunningRival) {
    this.port = port
    this.#running = running
  }

  static async start(): Promise<NatsServer> {
    const port = await freePort()
    return new NatsServer(port, await startOn(port))
  }

  get pid(): number {
    return this.#running.pid
  }

  get url(): string {
    return `nats://127.0.0.1:${this.port}`
  }

  /** Starts the server after `stop`. */
  async restart(): Promise<void> {
    this.#running = await startOn(this.port)
  }

  /** Kills the server. */
  stop(): Promise<void> {
    return this.#running.stop()
  }
}

function startOn(port: number): Promise<RunningRival> {
  return startProgram({
    program: NATS_SERVER ?? 'nats-server',
    words: ['-a', '127.0.0.1', '-p', String(port), '-l', '/dev/null'],
    port,
    stopSignal: 'SIGKILL',
  })
}
