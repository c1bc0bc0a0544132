import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { HTTP_HEAD_BYTES_MAX } from '../../protocol/limits.ts'
import type { App, HttpBackend, ListenSocket, TlsKeyPair } from '../adapter.ts'

type Build = {
  App(): App
  SSLApp(options: { readonly key_file_name: string; readonly cert_file_name: string }): App
  us_listen_socket_close(socket: ListenSocket): void
  us_socket_local_port(socket: ListenSocket): number
}

/**
 * The packages that may contain a native build, in order of preference: one that the operator
 * installed under the official name, a republication of release 20.57 (Node 20, 22 and 24, glibc
 * 2.38), and one of 2023 (Node 20, glibc 2.27).
 */
export const UWS_PACKAGES = [
  'uWebSockets.js',
  '@btc-vision/uwebsockets.js',
  '@trufflesuite/uws-js-unofficial',
] as const

/** Seconds after which the builds close an idle connection, at most. */
const IDLE_SECONDS = {
  'uWebSockets.js': 32,
  '@btc-vision/uwebsockets.js': 32,
  '@trufflesuite/uws-js-unofficial': 12,
} as const satisfies Readonly<Record<(typeof UWS_PACKAGES)[number], number>>

/** The file of the native addon for this Node, as all of these packages name it. */
const BINARY = `uws_${process.platform}_${process.arch}_${process.versions.modules}.node`

const require = createRequire(import.meta.url)
let loaded: HttpBackend | Error | undefined

/**
 * Loads the native build of uWebSockets.js. Throws an Error that names the reason for each package
 * when none of them loads. The addon is loaded without the package's own loader, which prints to
 * standard error and may fall back to JavaScript. A recent build reads its limit on request heads
 * from the environment at that moment.
 */
export function loadUws(): HttpBackend {
  loaded ??= tryBuilds()
  if (loaded instanceof Error) throw loaded
  return loaded
}

function tryBuilds(): HttpBackend | Error {
  process.env['UWS_HTTP_MAX_HEADERS_SIZE'] ??= String(HTTP_HEAD_BYTES_MAX)
  const reasons: string[] = []
  for (const name of UWS_PACKAGES) {
    const found = findBinary(name)
    if (!found) continue
    if ('reason' in found) {
      reasons.push(`${name} ${found.reason}`)
      continue
    }
    try {
      return toBackend(require(found.file) as Build, IDLE_SECONDS[name])
    } catch (error) {
      reasons.push(`${name}: ${loadError(error)}`)
    }
  }
  return new Error(reasons.join('; ') || 'no package with a native build is installed')
}

/** The first line of a message, without the names of the files. */
function loadError(error: unknown): string {
  const line = String((error as Error).message).split('\n', 1)[0] ?? ''
  const version = /version `([^']+)' not found/.exec(line)?.[1]
  return version ? `needs ${version}` : line
}

/** The addon in the package of that name; undefined when it is not installed. */
function findBinary(
  name: string,
): { readonly file: string } | { readonly reason: string } | undefined {
  const folder = require.resolve
    .paths(name)
    ?.map(path => join(path, name))
    .find(path => existsSync(join(path, 'package.json')))
  if (!folder) return undefined
  const file = [join(folder, BINARY), join(folder, 'binaries', BINARY)].find(existsSync)
  if (file) return { file }
  const { version } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))
  return { reason: `${version}: no build for Node ${process.versions.node}` }
}

function toBackend(build: Build, idleTimeout: number): HttpBackend {
  return {
    name: 'uws',
    idleTimeout,
    createApp: ({ tls } = {}) => (tls ? createTlsApp(build, tls) : build.App()),
    closeListenSocket: build.us_listen_socket_close,
    localPort: build.us_socket_local_port,
  }
}

/**
 * uWebSockets.js accepts only names of files, and reads them before it returns. The served pair
 * must be the validated one, even if the operator's files changed since. It is therefore written to
 * temporary files, which are deleted at once.
 */
function createTlsApp(build: Build, { certificate, key }: TlsKeyPair): App {
  const base = process.env['RUNTIME_DIRECTORY']?.split(':')[0] || tmpdir()
  const folder = mkdtempSync(join(base, 'muster-tls-'))
  try {
    const files = {
      key_file_name: join(folder, 'key'),
      cert_file_name: join(folder, 'certificate'),
    }
    writeFileSync(files.key_file_name, key, { mode: 0o600 })
    writeFileSync(files.cert_file_name, certificate, { mode: 0o600 })
    return build.SSLApp(files)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
