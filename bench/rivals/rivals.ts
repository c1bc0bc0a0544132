import { spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parse, stringify } from 'smol-toml'
import { freePort } from './free-port.ts'
import { benchFolder, withFolder } from './muster.ts'
import { absentProgram, type Rival, type RunningRival, type Start, startProgram } from './rival.ts'

/** Starts a server of this folder in its own process. */
function benchServer(
  name: string,
  file: string,
  words: (bodyBytes: number) => readonly string[],
): Rival {
  return {
    name,
    absent: undefined,
    async start({ bodyBytes, core }) {
      const port = await freePort()
      const path = fileURLToPath(new URL(file, import.meta.url))
      return startProgram({
        program: process.execPath,
        words: [path, String(port), ...words(bodyBytes)],
        port,
        core,
      })
    },
  }
}

export const BARE_UWS = 'bare uWebSockets.js'
export const bareUws = benchServer(BARE_UWS, './bare-uws-server.js', bytes => [String(bytes)])

/** Starts it with TLS and the key pair in these files. */
export function bareUwsTls(key: string, certificate: string): Rival {
  return benchServer(BARE_UWS, './bare-uws-server.js', bytes => [String(bytes), key, certificate])
}

export const BARE_UDP = 'bare recvmmsg echo'
/** The server listens on TCP too, to signal that it has started. */
export const bareUdp = benchServer(BARE_UDP, './bare-udp-server.js', bytes => [String(bytes)])

export const BITTORRENT_TRACKER = 'bittorrent-tracker'
export const bittorrentTracker = benchServer(
  BITTORRENT_TRACKER,
  './bittorrent-tracker-server.js',
  () => [],
)

/** Filling it with a million peers takes minutes. Fewer peers favour it. */
export const bittorrentTrackerUdp: Rival = {
  ...benchServer('bittorrent-tracker, 50,000 peers', './bittorrent-tracker-server.js', () => [
    'udp',
  ]),
  peersMax: 50_000,
}

export const OPENTRACKER = 'opentracker'
/** Debian's build requires a whitelist and closes each connection. */
export const opentracker: Rival = {
  name: OPENTRACKER,
  absent: absentProgram('opentracker'),
  async start({ infoHashes, core }) {
    const port = await freePort()
    const folder = benchFolder()
    const list = join(folder, 'whitelist')
    writeFileSync(list, `${infoHashes.map(hash => hash.toString('hex')).join('\n')}\n`)
    const words = ['-i', '127.0.0.1', '-p', String(port), '-P', String(port), '-u', 'nobody']
    return withFolder(
      await startProgram({ program: 'opentracker', words: [...words, '-w', list], port, core }),
      folder,
    )
  },
}

/** Starts one of aquatic's trackers with a configuration file. */
async function startAquatic(
  name: string,
  config: object,
  { port, core, protocol }: Pick<Start, 'port' | 'core' | 'protocol'>,
): Promise<RunningRival> {
  const folder = benchFolder()
  const file = join(folder, 'aquatic.toml')
  writeFileSync(file, stringify(config))
  const started = await startProgram({ program: name, words: ['-c', file], port, core, protocol })
  return withFolder(started, folder)
}

export const AQUATIC_UDP = 'aquatic_udp'
/** aquatic's UDP tracker with one thread, as `cargo install aquatic_udp` installs it. */
export const aquaticUdp: Rival = {
  name: AQUATIC_UDP,
  absent: absentProgram(AQUATIC_UDP),
  async start({ core }) {
    const port = await freePort()
    const config = {
      socket_workers: 1,
      network: { address: `127.0.0.1:${port}` },
      // The default is 30 peers. With 50 its answers are as long as the others'.
      protocol: { max_response_peers: 50 },
    }
    return startAquatic(AQUATIC_UDP, config, { port, core, protocol: 'udp' })
  },
}

export const AQUATIC_HTTP = 'aquatic_http'
/** aquatic's HTTP tracker with its default of one thread for sockets and one for swarms. */
export const aquaticHttp: Rival = {
  name: AQUATIC_HTTP,
  absent: absentProgram(AQUATIC_HTTP),
  async start({ core }) {
    const port = await freePort()
    const config = { network: { address: `127.0.0.1:${port}` } }
    return startAquatic(AQUATIC_HTTP, config, { port, core })
  },
}

export const TORRUST_ACTIX = 'torrust-actix'
/** Torrust-Actix as it configures itself, with one thread per protocol and without persistence. */
export const torrustActix: Rival = {
  name: TORRUST_ACTIX,
  absent: absentProgram(TORRUST_ACTIX),
  async start({ core }) {
    const port = await freePort()
    const folder = benchFolder()
    // It exits with status 101 after it has written config.toml, which it needs whole.
    spawnSync(TORRUST_ACTIX, ['--create-config'], { cwd: folder, stdio: 'ignore' })
    const file = join(folder, 'config.toml')
    const config = parse(readFileSync(file, 'utf8'))
    const listener = { bind_address: `127.0.0.1:${port}` }
    const udpThreads = { udp_threads: 1, worker_threads: 1 }
    const changed = {
      ...config,
      log_level: 'error',
      database: { ...(config['database'] as object), persistent: false },
      http_server: [{ ...firstOf(config['http_server']), ...listener, threads: 1 }],
      udp_server: [{ ...firstOf(config['udp_server']), ...listener, ...udpThreads }],
      api_server: [],
    }
    writeFileSync(file, stringify(changed))
    const words: readonly string[] = []
    // Version 4.2.15 hangs at SIGTERM.
    const stopSignal = 'SIGKILL'
    return withFolder(
      await startProgram({ program: TORRUST_ACTIX, words, port, core, folder, stopSignal }),
      folder,
    )
  },
}

function firstOf(tables: unknown): object {
  return (tables as readonly object[])[0] ?? {}
}

/** The rivals that are installed. `notes` lists the others. */
export function present(rivals: readonly Rival[], notes: string[]): Rival[] {
  return rivals.filter(({ absent }) => {
    if (absent) notes.push(`Left out: ${absent}.`)
    return !absent
  })
}
