import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { stringify } from 'smol-toml'
import { freePort } from './free-port.ts'
import { benchFolder, withFolder } from './muster.ts'
import { absentProgram, type Rival, startProgram } from './rival.ts'

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

export const AQUATIC_UDP = 'aquatic_udp'
/** aquatic's UDP tracker with one thread, as `cargo install aquatic_udp` installs it. */
export const aquaticUdp: Rival = {
  name: AQUATIC_UDP,
  absent: absentProgram(AQUATIC_UDP),
  async start({ core }) {
    const port = await freePort()
    const folder = benchFolder()
    const file = join(folder, 'aquatic.toml')
    const config = {
      socket_workers: 1,
      network: { address: `127.0.0.1:${port}` },
      // The default is 30 peers. With 50 its answers are as long as the others'.
      protocol: { max_response_peers: 50 },
    }
    writeFileSync(file, stringify(config))
    return withFolder(
      await startProgram({
        program: AQUATIC_UDP,
        words: ['-c', file],
        port,
        core,
        protocol: 'udp',
      }),
      folder,
    )
  },
}

/** The rivals that are installed. `notes` lists the others. */
export function present(rivals: readonly Rival[], notes: string[]): Rival[] {
  return rivals.filter(({ absent }) => {
    if (absent) notes.push(`Left out: ${absent}.`)
    return !absent
  })
}
