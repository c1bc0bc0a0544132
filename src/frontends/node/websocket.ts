import { ServerResponse } from 'node:http'
import { createRequire } from 'node:module'
import type { Socket } from 'node:net'
import type { WebSocket as WsSocket } from 'ws'
import type { UpgradeResponse, WebSocket, WebSocketBehavior } from '../adapter.ts'
import type { Connection } from './connection.ts'
import { NodeExchange } from './exchange.ts'
import type { RequestMessage } from './request-message.ts'

/** RFC 6455 §7.4.1. */
const ABNORMAL_CLOSURE = 1006
/** Results of `send`. */
const [QUEUED, SENT, DROPPED] = [0, 1, 2]

/** The WebSockets of one app. */
export type WebSocketRoute = {
  /** Takes over a socket from HTTP. `head` contains the bytes that followed the request. */
  upgrade(request: RequestMessage, socket: Socket, head: Buffer, connection: Connection): void
  /** Closes every socket. */
  close(): void
}

/** Serves WebSockets with `behavior`, on the ws library. */
export function createWebSocketRoute<Data>(behavior: WebSocketBehavior<Data>): WebSocketRoute {
  // Loaded where it is used: with uWebSockets.js it never is.
  const { WebSocketServer } = createRequire(import.meta.url)('ws') as typeof import('ws')
  const server = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    perMessageDeflate: false,
    maxPayload: behavior.maxPayloadLength,
  })
  const sockets = new Set<NodeWebSocket<Data>>()
  return {
    upgrade(request, socket, head, connection) {
      socket.on('error', () => {})
      const response = new ServerResponse(request)
      response.shouldKeepAlive = false
      response.assignSocket(socket)
      response.once('finish', () => socket.destroySoon())
      const handshake = new Handshake<Data>(request, response, connection, data => {
        response.detachSocket(socket)
        server.handleUpgrade(request, socket, head, ws => {
          new NodeWebSocket(ws, socket, data, behavior, sockets).open()
        })
      })
      behavior.upgrade(handshake, handshake, {})
    },
    close() {
      for (const socket of [...sockets]) socket.close()
    },
  }
}

/** A request for a WebSocket: it is accepted with `upgrade`, or answered as any other request. */
class Handshake<Data> extends NodeExchange implements UpgradeResponse<Data> {
  readonly #accept: (data: Data) => void

  constructor(
    request: RequestMessage,
    response: ServerResponse,
    connection: Connection,
    accept: (data: Data) => void,
  ) {
    super(request, response, connection)
    this.#accept = accept
  }

  upgrade(data: Data): void {
    this.#accept(data)
  }
}

class NodeWebSocket<Data> implements WebSocket<Data> {
  readonly #ws: WsSocket
  readonly #socket: Socket
  readonly #data: Data
  readonly #behavior: WebSocketBehavior<Data>
  readonly #sockets: Set<NodeWebSocket<Data>>
  #isClosed = false

  constructor(
    ws: WsSocket,
    socket: Socket,
    data: Data,
    behavior: WebSocketBehavior<Data>,
    sockets: Set<NodeWebSocket<Data>>,
  ) {
    this.#ws = ws
    this.#socket = socket
    this.#data = data
    this.#behavior = behavior
    this.#sockets = sockets
  }

  open(): void {
    this.#sockets.add(this)
    this.#ws.on('message', (message: Buffer) => {
      if (!this.#isClosed) this.#behavior.message(this, message)
    })
    this.#ws.on('pong', () => {
      if (!this.#isClosed) this.#behavior.pong(this)
    })
    // `close` follows every error.
    this.#ws.on('error', () => {})
    this.#ws.on('close', (code: number) => this.#closed(code))
    this.#behavior.open(this)
  }

  getUserData(): Data {
    return this.#data
  }

  getBufferedAmount(): number {
    return this.#socket.writableLength
  }

  send(message: string): number {
    if (this.#isClosed) return DROPPED
    if (this.#socket.writableLength + message.length > this.#behavior.maxBackpressure) {
      if (this.#behavior.closeOnBackpressureLimit) this.close()
      return DROPPED
    }
    this.#ws.send(message)
    return this.#socket.writableLength > 0 ? QUEUED : SENT
  }

  end(code: number, reason: string): void {
    this.#ws.close(code, reason)
    this.#closed(code)
  }

  ping(): void {
    if (!this.#isClosed) this.#ws.ping()
  }

  close(): void {
    this.#ws.terminate()
    this.#closed(ABNORMAL_CLOSURE)
  }

  #closed(code: number): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#sockets.delete(this)
    this.#behavior.close(this, code)
  }
}
