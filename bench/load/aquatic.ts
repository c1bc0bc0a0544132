import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { stringify } from 'smol-toml'

export const AQUATIC_LOAD_TEST = 'aquatic_udp_load_test'

export type AquaticReport = {
  readonly responses: number
  readonly errors: number
  readonly seconds: number
}

/**
 * Loads the UDP tracker on `port` of 127.0.0.1 with aquatic's load generator, as `cargo install
 * aquatic_udp_load_test` installs it. The clients have four source addresses. The numbers of
 * torrents and peers are a tenth of the defaults, so that the tracker is warm within seconds.
 */
export async function runAquaticLoad(port: number, seconds: number): Promise<AquaticReport> {
  const folder = mkdtempSync(join(tmpdir(), 'muster-bench-'))
  try {
    const file = join(folder, 'load.toml')
    const config = {
      server_address: `127.0.0.1:${port}`,
      duration: seconds,
      requests: { number_of_torrents: 100_000, number_of_peers: 200_000 },
    }
    writeFileSync(file, stringify(config))
    const { stdout } = await promisify(execFile)(AQUATIC_LOAD_TEST, ['-c', file])
    return readReport(stdout)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** Reads the report that the generator prints at its end. */
export function readReport(text: string): AquaticReport {
  const report = text.slice(text.indexOf('# aquatic load test report'))
  const seconds = Number(/Test ran for (\d+) seconds/.exec(report)?.[1])
  const perSecond = Number(/Average responses per second: ([\d.]+)/.exec(report)?.[1])
  const errors = Number(/Error responses: +([\d.]+)/.exec(report)?.[1])
  if (!Number.isFinite(seconds * perSecond * errors)) {
    throw new Error(`unexpected report of ${AQUATIC_LOAD_TEST}: ${text.slice(-400)}`)
  }
  return { responses: perSecond * seconds, errors: errors * seconds, seconds }
}
