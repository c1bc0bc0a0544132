import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { stringify } from 'smol-toml'
import { freePort } from './free-port.ts'
import { type Rival, type RunningRival, startProgram } from './rival.ts'

const MAIN = fileURLToPath(new URL('../../src/main.js', import.meta.url))

/** Creates a temporary folder for the files of a program. */
export function benchFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'muster-bench-'))
  // opentracker reads its list as the user `nobody`.
  chmodSync(folder, 0o755)
  return folder
}

/** Adds the removal of the folder to the program's stop. */
export function withFolder(started: RunningRival, folder: string): RunningRival {
  return {
    ...started,
    async stop() {
      await started.stop()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

export type MusterOptions = {
  readonly name?: string
  /** Sections of the configuration that differ from the defaults here. */
  readonly config?: object
  /** Further keys of the HTTP trackers, such as those of TLS. */
  readonly listener?: object
  /** Whether to serve UDP on the same port. */
  readonly udp?: { readonly threads: number }
  /** Data folder. Defaults to a temporary one. */
  readonly folder?: string
  /** Signal that ends it. Defaults to SIGTERM. */
  readonly stopSignal?: NodeJS.Signals
}

/** Starts the built program with an HTTP tracker on 127.0.0.1 and ::1, and without persistence. */
export function muster(options: MusterOptions = {}): Rival {
  return {
    name: options.name ?? 'muster',
    absent: undefined,
    async start({ core }) {
      const port = await freePort()
      const folder = options.folder ?? benchFolder()
      const file = join(folder, 'config.toml')
      writeFileSync(file, stringify(configOf(options, port)))
      const started = await startProgram({
        program: process.execPath,
        words: [MAIN, '--config', file],
        port,
        core,
        folder,
        ready: 'ready',
        ...(options.stopSignal && { stopSignal: options.stopSignal }),
      })
      return options.folder ? started : withFolder(started, folder)
    },
  }
}

export const ON_NODE = 'muster on node:http'

/** The same with the backend that runs where uWebSockets.js does not load. */
export function musterOnNode(options: MusterOptions = {}): Rival {
  const config = { ...options.config, frontend: { http: 'node' } }
  return muster({ ...options, name: ON_NODE, config })
}

function configOf({ config, listener, udp }: MusterOptions, port: number): object {
  const addresses = [{ bind_address: `127.0.0.1:${port}` }, { bind_address: `[::1]:${port}` }]
  return {
    http_server: addresses.map(one => ({ ...one, ...listener })),
    udp_server: udp ? addresses.map(one => ({ ...one, udp_threads: udp.threads })) : [],
    api_server: [],
    snapshot: { enabled: false },
    // The generators send from few addresses.
    limits: { profile: 'open' },
    ...config,
  }
}
