import { createServer, type Server, type ServerOptions, ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import { type AddressInfo, Server as NetServer, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { HTTP_HEAD_BYTES_MAX } from '../../protocol/limits.ts'
import type {
  App,
  AppOptions,
  HttpBackend,
  HttpRequest,
  HttpResponse,
  ListenSocket,
  RequestHandler,
  WebSocketBehavior,
} from '../adapter.ts'
import { answerClientError, type ClientError } from './client-error.ts'
import { addressBytes, Connection, connectionOf, setConnection } from './connection.ts'
import { DirectConnection, type DirectOptions } from './direct-connection.ts'
import { NodeExchange } from './exchange.ts'
import { NO_BYTES } from './exchange-base.ts'
import { openListener } from './open-listener.ts'
import { readProxyHeader } from './proxy-socket.ts'
import { readRawRequest } from './raw-request.ts'
import { hasSeveralHosts, RequestMessage } from './request-message.ts'
import { isWebSocketRequest, withoutUpgrade } from './upgrade-request.ts'
import { createWebSocketRoute, type WebSocketRoute } from './websocket.ts'

/** Time for a whole request head, and for a TLS handshake or PROXY header before it. */
const HEAD_MILLIS_MAX = 15_000
/** Time for a whole request with its body. */
const REQUEST_MILLIS_MAX = 60_000
/** Time without a byte in either direction while an answer is pending or not yet read. */
const STALL_MILLIS_MAX = 60_000
const IDLE_SECONDS_DEFAULT = 75
const TIMEOUT_CHECK_MILLIS = 2000

/**
 * node:net, node:http, node:https and ws in the shape of uWebSockets.js: slower, and available
 * wherever Node is.
 */
export const nodeBackend: HttpBackend = {
  name: 'node',
  idleTimeout: undefined,
  createApp: (options = {}) => new NodeApp(options),
  // http's own close would also close the idle connections, which are closed behind one more answer
  // instead.
  closeListenSocket: socket => void NetServer.prototype.close.call(socket as Server),
  localPort: socket => ((socket as Server).address() as AddressInfo).port,
}

class NodeApp implements App {
  readonly #server: Server
  readonly #options: AppOptions
  readonly #routes = new Map<string, RequestHandler>()
  #fallback: RequestHandler | undefined
  #webSockets: WebSocketRoute | undefined
  /** Node's own handling of a connection, after TLS. */
  readonly #serveHttp: (socket: Socket) => void
  /** Node's own handling of a connection before TLS; undefined without TLS. */
  readonly #startTls: ((socket: Socket) => void) | undefined
  readonly #direct: DirectOptions
  /** Every accepted connection. */
  readonly #sockets = new Set<Socket>()
  /** Addresses from PROXY headers, by the other end of the connection. */
  readonly #proxied = new Map<string, ArrayBuffer>()

  constructor(options: AppOptions) {
    this.#options = options
    const { idleTimeout = IDLE_SECONDS_DEFAULT, tls } = options
    // One timer for both is not restarted for each request.
    const isLong = idleTimeout * 1000 >= STALL_MILLIS_MAX
    const settings: ServerOptions<typeof RequestMessage> = {
      IncomingMessage: RequestMessage,
      maxHeaderSize: HTTP_HEAD_BYTES_MAX,
      headersTimeout: HEAD_MILLIS_MAX,
      requestTimeout: REQUEST_MILLIS_MAX,
      keepAliveTimeout: isLong ? 0 : idleTimeout * 1000,
      connectionsCheckingInterval: TIMEOUT_CHECK_MILLIS,
      noDelay: true,
    }
    this.#server = tls
      ? createTlsServer({
          ...settings,
          key: tls.key,
          cert: tls.certificate,
          ...(tls.ticketKeys && { ticketKeys: Buffer.from(tls.ticketKeys) }),
          sessionIdContext: 'muster',
          minVersion: 'TLSv1.2',
          handshakeTimeout: HEAD_MILLIS_MAX,
        })
      : createServer(settings)
    this.#server.setTimeout(isLong ? idleTimeout * 1000 : STALL_MILLIS_MAX)
    this.#server.on('request', this.#onRequest)
    this.#server.on('upgrade', this.#onUpgrade)
    this.#server.on('clientError', this.#onClientError)
    this.#direct = {
      handle: this.#dispatch,
      leave: socket => this.#serveHttp(socket),
      firstMillis: HEAD_MILLIS_MAX,
      idleMillis: idleTimeout * 1000,
      stallMillis: STALL_MILLIS_MAX,
    }
    this.#serveHttp = this.#takeListener(tls ? 'secureConnection' : 'connection')
    this.#startTls = tls && this.#takeListener('connection')
    this.#server.on('connection', this.#onConnection)
    if (tls) this.#server.on('secureConnection', this.#serve)
  }

  get openConnections(): number {
    return this.#sockets.size
  }

  any(pattern: string, handler: RequestHandler): this {
    if (pattern === '/*') this.#fallback = handler
    else this.#routes.set(pattern, handler)
    return this
  }

  ws<Data>(_pattern: string, behavior: WebSocketBehavior<Data>): this {
    this.#webSockets = createWebSocketRoute(behavior)
    return this
  }

  listen(host: string, port: number, listening: (socket: ListenSocket | false) => void): this {
    const server = this.#server
    server.once('error', () => listening(false))
    try {
      openListener(server, host, port, () => listening(server))
    } catch {
      listening(false)
    }
    return this
  }

  close(): this {
    this.#webSockets?.close()
    this.#server.close()
    for (const socket of this.#sockets) socket.destroy()
    return this
  }

  /** The limits and the PROXY header come before Node's own handling of a connection. */
  readonly #onConnection = (socket: Socket) => {
    const { believesProxyHeader, gate } = this.#options
    const address = addressBytes(socket.remoteAddress)
    if (gate && !gate.open(address)) return void socket.destroy()
    this.#sockets.add(socket)
    socket.once('close', () => {
      this.#sockets.delete(socket)
      gate?.close(address)
    })
    const start = this.#startTls ?? this.#serve
    if (!believesProxyHeader?.(address)) return start(socket, address)
    readProxyHeader(socket, HEAD_MILLIS_MAX, client => {
      if (client) this.#setProxied(socket, client)
      start(socket, address)
      // TLS takes the bytes that were put back, which would be lost if they flowed.
      if (!this.#startTls) socket.resume()
    })
  }

  /** Removes the listener that Node itself has on an event of the server, and returns it. */
  #takeListener(event: 'connection' | 'secureConnection'): (socket: Socket) => void {
    const [listener] = this.#server.listeners(event) as ((socket: Socket) => void)[]
    this.#server.removeAllListeners(event)
    return socket => listener?.call(this.#server, socket)
  }

  /** By the other end, because a TLS socket does not tell the socket below it. */
  #setProxied(socket: Socket, client: ArrayBuffer): void {
    const end = otherEnd(socket)
    this.#proxied.set(end, client)
    socket.once('close', () => this.#proxied.delete(end))
  }

  #proxiedOf(socket: Socket): ArrayBuffer {
    if (this.#proxied.size === 0) return NO_BYTES
    return this.#proxied.get(otherEnd(socket)) ?? NO_BYTES
  }

  readonly #serve = (socket: Socket, address = addressBytes(socket.remoteAddress)): void => {
    new DirectConnection(socket, { address, proxied: this.#proxiedOf(socket) }, this.#direct)
  }

  #connectionOf(socket: Socket): Connection {
    const known = connectionOf(socket)
    if (known) return known
    const connection = new Connection(socket, this.#proxiedOf(socket), this.#dispatch)
    setConnection(socket, connection)
    return connection
  }

  readonly #onRequest = (request: RequestMessage, response: ServerResponse): void => {
    const connection = this.#connectionOf(request.socket)
    if (hasSeveralHosts(request)) refuseHosts(request.socket)
    else connection.arrived(new NodeExchange(request, response, connection))
  }

  readonly #onUpgrade = (request: RequestMessage, stream: Duplex, head: Buffer): void => {
    const socket = stream as Socket
    if (hasSeveralHosts(request)) {
      refuseHosts(stream)
      return
    }
    const route = this.#webSockets
    if (!route || !isWebSocketRequest(request)) {
      this.#serveAgain(socket, withoutUpgrade(request, head))
      return
    }
    const connection = this.#connectionOf(socket)
    // An answer to an earlier request would be mixed up with the frames.
    if (connection.isBusy) socket.destroy()
    else route.upgrade(request, socket, head, connection)
  }

  readonly #onClientError = (error: ClientError, stream: Duplex): void => {
    const { bytesParsed = 0, code, rawPacket } = error
    // Bytes behind a request with `Connection: close`, whose answer closes the connection.
    if (code === 'HPE_CLOSED_CONNECTION') return
    const socket = stream as Socket
    const request =
      code === 'HPE_INVALID_URL' && rawPacket && readRawRequest(rawPacket, bytesParsed, socket)
    if (!request) {
      answerClientError(error, stream)
      return
    }
    const connection = this.#connectionOf(socket)
    connection.lastArrived(() => {
      const response = new ServerResponse(request)
      response.shouldKeepAlive = false
      response.assignSocket(socket)
      response.once('finish', () => socket.destroySoon())
      return new NodeExchange(request, response, connection)
    })
  }

  readonly #dispatch = (exchange: HttpRequest & HttpResponse): void => {
    const handler = this.#routes.get(exchange.getUrl()) ?? this.#fallback
    if (handler) handler(exchange, exchange)
    else exchange.writeStatus('404 Not Found').end('')
  }

  /**
   * Serves a socket that was removed for an upgrade over HTTP again, beginning with these bytes.
   */
  #serveAgain(socket: Socket, bytes: Buffer): void {
    socket.unshift(bytes)
    this.#serveHttp(socket)
  }
}

/** node:http accepts several Host lines, which RFC 9112 §3.2 does not allow. */
function refuseHosts(stream: Duplex): void {
  answerClientError(new Error('several Host lines'), stream)
}

function otherEnd({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress} ${remotePort}`
}
