import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { stringify } from 'smol-toml'
import { freePort } from './free-port.ts'
import { type Rival, type RunningRival, startProgram } from './rival.ts'

const MAIN = fileURLToPath(new URL('../../src/main.js', import.meta.url))

/** A folder for what a program reads and writes, gone with it. */
export function benchFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'muster-bench-'))
  // opentracker reads its list as nobody.
  chmodSync(folder, 0o755)
  return folder
}

/** As it was started, and a stop that removes the folder. */
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
  /** Sections of the configuration that are not as here. */
  readonly config?: object
  /** Keys of the configuration that make its HTTP trackers speak TLS. */
  readonly tls?: object
  /** Also over UDP, on the same port. */
  readonly udp?: { readonly threads: number }
  /** Where it keeps its data; one of its own that is gone afterwards, when there is none. */
  readonly folder?: string
}

/** The built program with its HTTP tracker on 127.0.0.1 and ::1, nothing kept unless the configuration says so. */
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
      })
      return options.folder ? started : withFolder(started, folder)
    },
  }
}

function configOf({ config, tls, udp }: MusterOptions, port: number): object {
  const addresses = [{ bind_address: `127.0.0.1:${port}` }, { bind_address: `[::1]:${port}` }]
  return {
    http_server: addresses.map(one => ({ ...one, ...tls })),
    udp_server: udp ? addresses.map(one => ({ ...one, udp_threads: udp.threads })) : [],
    api_server: [],
    snapshot: { enabled: false },
    ...config,
  }
}
