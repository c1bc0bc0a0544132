import { execFileSync } from 'node:child_process'
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { freePort, type Rival, type RunningRival, startProgram } from './rival.ts'

function built(path: string): string {
  return fileURLToPath(new URL(path, import.meta.url))
}

async function withFile(
  name: string,
  content: string,
  start: (file: string) => Promise<RunningRival>,
): Promise<RunningRival> {
  const folder = mkdtempSync(join(tmpdir(), 'muster-bench-'))
  // opentracker reads its list as nobody.
  chmodSync(folder, 0o755)
  const file = join(folder, name)
  writeFileSync(file, content)
  const started = await start(file)
  return {
    ...started,
    async stop() {
      await started.stop()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

export const muster: Rival = {
  name: 'muster',
  keepAlive: true,
  absent: undefined,
  async start() {
    const port = await freePort()
    const config = `[[http_server]]\nbind_address = "127.0.0.1:${port}"\n[log]\nlevel = "warn"\n`
    return withFile('config.toml', config, file =>
      startProgram(process.execPath, [built('../../src/main.js'), '--config', file], port),
    )
  },
}

/** With so many threads on its UDP socket, and one HTTP listener for the sign that it has started. */
export function musterUdp(threads: number): Rival {
  return {
    ...muster,
    name: threads === 1 ? 'muster' : `muster, ${threads} threads`,
    async start() {
      const port = await freePort()
      const address = `bind_address = "127.0.0.1:${port}"`
      const config = `[[http_server]]\n${address}\n[[udp_server]]\n${address}\nudp_threads = ${threads}\n[frontend]\nworkers = 0\n[log]\nlevel = "warn"\n`
      return withFile('config.toml', config, file =>
        startProgram(process.execPath, [built('../../src/main.js'), '--config', file], port),
      )
    },
  }
}

export const bareUws: Rival = {
  name: 'bare uWebSockets.js',
  keepAlive: true,
  absent: undefined,
  async start({ bodyBytes }) {
    const port = await freePort()
    return startProgram(
      process.execPath,
      [built('./bare-uws-server.js'), String(port), String(bodyBytes)],
      port,
    )
  },
}

export const bittorrentTracker: Rival = {
  name: 'bittorrent-tracker',
  keepAlive: true,
  absent: undefined,
  async start() {
    const port = await freePort()
    return startProgram(
      process.execPath,
      [built('./bittorrent-tracker-server.js'), String(port)],
      port,
    )
  },
}

/** Entering a million peers would take it minutes; fewer are to its advantage. */
export const bittorrentTrackerUdp: Rival = {
  ...bittorrentTracker,
  name: 'bittorrent-tracker, 50,000 peers',
  peersMax: 50_000,
  async start() {
    const port = await freePort()
    const words = [built('./bittorrent-tracker-server.js'), String(port), 'udp']
    return startProgram(process.execPath, words, port)
  },
}

function absentProgram(program: string): string | undefined {
  try {
    execFileSync('which', [program], { stdio: 'ignore' })
    return undefined
  } catch {
    return `${program} is not installed`
  }
}

/** Debian's build answers whitelisted torrents only, and closes each connection. */
export const opentracker: Rival = {
  name: 'opentracker',
  keepAlive: false,
  absent: absentProgram('opentracker'),
  async start({ infoHashes }) {
    const port = await freePort()
    const list = `${infoHashes.map(hash => hash.toString('hex')).join('\n')}\n`
    return withFile('whitelist', list, file =>
      startProgram(
        'opentracker',
        ['-i', '127.0.0.1', '-p', String(port), '-P', String(port), '-u', 'nobody', '-w', file],
        port,
      ),
    )
  },
}
