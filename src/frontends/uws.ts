import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { HTTP_HEAD_BYTES_MAX } from '../protocol/limits.ts'

/** What muster uses of uWebSockets.js, under the names of either build: see `load`. */
export type HttpResponse = {
  writeStatus(status: string): HttpResponse
  writeHeader(key: string | ArrayBuffer, value: string | ArrayBuffer): HttpResponse
  end(body?: string | Uint8Array, closeConnection?: boolean): HttpResponse
  endWithoutBody(): HttpResponse
  /** A piece of a chunked body; not empty. False when it waits in memory for a slow reader: go on in `onWritable`. */
  write(chunk: string | Uint8Array): boolean
  /** The handler says whether it wrote all that it wanted. */
  onWritable(handler: (offset: number) => boolean): HttpResponse
  getWriteOffset(): number
  /** Has to be called before the request's handler returns. The memory of `chunk` is taken back when this handler returns. */
  onData(handler: (chunk: ArrayBuffer, isLast: boolean) => void): HttpResponse
  onAborted(handler: () => void): HttpResponse
  /** Cuts the connection; calls what `onAborted` was given. */
  close(): HttpResponse
  getRemoteAddress(): ArrayBuffer
  /** What PROXY protocol 2 said at the start of the connection; empty when it said nothing. */
  getProxiedRemoteAddress(): ArrayBuffer
  cork(write: () => void): HttpResponse
}

export type HttpRequest = {
  getHeader(lowerCaseKey: string): string
  getUrl(): string
  /** Undefined when the target has no `?`. */
  getQuery(): string | undefined
  getMethod(): string
}

export type ListenSocket = object

/** A WebSocket, good from `open` to `close`. `Data` is what `upgrade` was given. */
export type WebSocket<Data> = {
  getUserData(): Data
  /** 1 when sent, 0 when it waits for a slow reader, 2 when that one is too slow and it was dropped. */
  send(message: string): number
  /** Closes with a code, and calls `close`. */
  end(code: number, reason: string): void
}

/** What uWebSockets.js hands from a request to the socket that it becomes. */
export type UpgradeContext = object

export type UpgradeResponse<Data> = HttpResponse & {
  upgrade(
    data: Data,
    key: string,
    protocol: string,
    extensions: string,
    context: UpgradeContext,
  ): void
}

export type WebSocketBehavior<Data> = {
  /** A longer message closes the socket. */
  readonly maxPayloadLength: number
  /** Bytes that wait for a slow reader at most; `closeOnBackpressureLimit` closes it then. */
  readonly maxBackpressure: number
  readonly closeOnBackpressureLimit: boolean
  /** Seconds without a sign of life after which a socket is closed. */
  readonly idleTimeout: number
  /** Asks for one in time. */
  readonly sendPingsAutomatically: boolean
  upgrade(response: UpgradeResponse<Data>, request: HttpRequest, context: UpgradeContext): void
  open(socket: WebSocket<Data>): void
  /** The memory of `message` is taken back when this returns. */
  message(socket: WebSocket<Data>, message: ArrayBuffer): void
  /** Called once, however it came about. Nothing may be sent any more. */
  close(socket: WebSocket<Data>, code: number): void
}

export type App = {
  any(pattern: string, handler: (response: HttpResponse, request: HttpRequest) => void): App
  ws<Data>(pattern: string, behavior: WebSocketBehavior<Data>): App
  listen(host: string, port: number, listening: (socket: ListenSocket | false) => void): App
  close(): App
}

/** A private key and the certificates for it, as PEM. */
export type TlsKeyPair = { readonly key: string; readonly certificate: string }

type Build = {
  App(): App
  SSLApp(options: { readonly key_file_name: string; readonly cert_file_name: string }): App
  us_listen_socket_close(socket: ListenSocket): void
  us_socket_local_port(socket: ListenSocket): number
}

export type Uws = {
  /** With a pair the app speaks TLS, 1.2 and 1.3, and nothing else. Throws when OpenSSL does not take the pair. */
  createApp(tls?: TlsKeyPair): App
  closeListenSocket(socket: ListenSocket): void
  localPort(socket: ListenSocket): number
}

let loaded: Uws | undefined

/**
 * Loads uWebSockets.js: the build of the npm registry, or the official one that an operator put in its place. Only when it is needed, because
 * the official one reads its limit on request heads from the environment at that moment; the other takes 4 KiB of a head that comes in pieces. Throws when there is no binary for this Node.
 */
export function loadUws(): Uws {
  if (loaded) return loaded
  process.env['UWS_HTTP_MAX_HEADERS_SIZE'] ??= String(HTTP_HEAD_BYTES_MAX)
  const build = createRequire(import.meta.url)('uWebSockets.js') as Build
  // Where its binary does not load, the build of the registry puts an imitation in JavaScript in its place, which has not this.
  if (!('SSLApp' in build)) throw new Error('uWebSockets.js has no binary for this Node')
  loaded = {
    createApp: tls => (tls ? createTlsApp(build, tls) : build.App()),
    closeListenSocket: build.us_listen_socket_close,
    localPort: build.us_socket_local_port,
  }
  return loaded
}

/**
 * uWebSockets.js takes the names of files, and reads them before it returns. What was checked must be what is served, whatever became of the
 * operator's files since: so it gets files of ours, which are gone after that.
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
