/**
 * The HTTP and WebSocket server that the frontends are written against. It has the shape of
 * uWebSockets.js, so that the native build is used without a layer in between; `node/` implements
 * the same on node:net, node:http and ws.
 */

/** A response, valid until it is ended or `onAborted` is called. */
export type HttpResponse = {
  writeStatus(status: string): HttpResponse
  writeHeader(key: string | ArrayBuffer, value: string | ArrayBuffer): HttpResponse
  /**
   * Ends the response. Bytes that a slow reader does not accept are queued in memory: see
   * `endWhole`.
   */
  end(body?: string | Uint8Array, closeConnection?: boolean): HttpResponse
  /**
   * Writes as much of a body of `totalBytes` as the client accepts. Returns whether all of `part`
   * was written, and whether the response is ended. The rest is written from `onWritable`.
   */
  tryEnd(part: string | Uint8Array, totalBytes: number): [isWritten: boolean, isEnded: boolean]
  endWithoutBody(): HttpResponse
  /**
   * Writes a chunk, which must not be empty, of a chunked body. Returns false when the chunk is
   * queued for a slow reader: continue in `onWritable`.
   */
  write(chunk: string | Uint8Array): boolean
  /**
   * Calls `handler`, which returns whether it wrote everything. `offset` counts bytes of the body.
   */
  onWritable(handler: (offset: number) => boolean): HttpResponse
  getWriteOffset(): number
  /**
   * Must be called before the request's handler returns. The memory of `chunk` is invalid after its
   * handler returns.
   */
  onData(handler: (chunk: ArrayBuffer, isLast: boolean) => void): HttpResponse
  onAborted(handler: () => void): HttpResponse
  /** Closes the connection, and calls the handler of `onAborted`. */
  close(): HttpResponse
  /** Address of the other end of the connection, 4 or 16 bytes. */
  getRemoteAddress(): ArrayBuffer
  /**
   * The client's address from the PROXY header at the start of the connection; empty when there was
   * none.
   */
  getProxiedRemoteAddress(): ArrayBuffer
  cork(write: () => void): HttpResponse
}

/** A request, valid until its handler returns. */
export type HttpRequest = {
  /** The value of the first header line of that name; empty without one. */
  getHeader(lowerCaseKey: string): string
  /** Calls `visit` for every header line. Names are in lower case. */
  forEach(visit: (key: string, value: string) => void): void
  /** The path, without the query. */
  getUrl(): string
  /** Undefined when the target does not have a `?`. */
  getQuery(): string | undefined
  /** The method in lower case. */
  getMethod(): string
}

export type ListenSocket = object

/**
 * A WebSocket, valid from `open` to `close`. `Data` is the type of the object passed to `upgrade`.
 */
export type WebSocket<Data> = {
  getUserData(): Data
  /**
   * Returns 1 when the message is sent, 0 when it is queued for a slow reader, and 2 when that
   * reader is too slow and the message was dropped.
   */
  send(message: string): number
  /** Bytes that are queued for a slow reader. */
  getBufferedAmount(): number
  /** Sends an empty ping. */
  ping(): unknown
  /** Closes with a code, and calls `close`. */
  end(code: number, reason: string): void
  /** Cuts the connection without a closing handshake, and calls `close`. */
  close(): void
}

/** Opaque to handlers: carries a request to the socket that it becomes. */
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
  /** Maximum size of a message; a longer one closes the socket. */
  readonly maxPayloadLength: number
  /** Maximum bytes queued for a slow reader; `closeOnBackpressureLimit` then closes the socket. */
  readonly maxBackpressure: number
  readonly closeOnBackpressureLimit: boolean
  /** Seconds without data after which uWebSockets.js closes a socket; 0 for never. */
  readonly idleTimeout: number
  /** Whether uWebSockets.js sends pings before the idle timeout expires. */
  readonly sendPingsAutomatically: boolean
  upgrade(response: UpgradeResponse<Data>, request: HttpRequest, context: UpgradeContext): void
  open(socket: WebSocket<Data>): void
  /** The memory of `message` is invalid after this returns. */
  message(socket: WebSocket<Data>, message: ArrayBuffer | Uint8Array): void
  /** The client answered a ping. */
  pong(socket: WebSocket<Data>): void
  /** Called exactly once, whichever side closed the socket. Nothing may be sent after it. */
  close(socket: WebSocket<Data>, code: number): void
}

export type RequestHandler = (response: HttpResponse, request: HttpRequest) => void

export type App = {
  /** Open connections. Undefined on uWebSockets.js, which does not report them. */
  readonly openConnections: number | undefined
  any(pattern: string, handler: RequestHandler): App
  ws<Data>(pattern: string, behavior: WebSocketBehavior<Data>): App
  listen(host: string, port: number, listening: (socket: ListenSocket | false) => void): App
  close(): App
}

/** A private key and the certificates for it, as PEM. Only node:http uses the ticket keys. */
export type TlsKeyPair = {
  readonly key: string
  readonly certificate: string
  /** Keys of session tickets; by default each app has its own. */
  readonly ticketKeys?: Uint8Array
}

/** Counts the connections of a listener as they open and close. Addresses have 4 or 16 bytes. */
export type ConnectionGate = {
  /** False when the connection is over a limit: it is closed, and not counted. */
  open(address: ArrayBuffer): boolean
  close(address: ArrayBuffer): void
}

/** Options of an app. Only node:http applies the last four. */
export type AppOptions = {
  /** With a pair the app speaks only TLS 1.2 and 1.3. */
  readonly tls?: TlsKeyPair | undefined
  /** Whether a connection from this address may begin with a PROXY header. */
  readonly believesProxyHeader?: ((address: ArrayBuffer) => boolean) | undefined
  readonly gate?: ConnectionGate | undefined
  /** Seconds without a request after which an idle connection is closed. */
  readonly idleTimeout?: number | undefined
}

/** An implementation of HTTP and WebSocket servers. */
export type HttpBackend = {
  readonly name: BackendName
  /** Seconds after which the backend closes an idle connection; undefined if AppOptions decide. */
  readonly idleTimeout: number | undefined
  /** Throws when OpenSSL refuses the key pair. */
  createApp(options?: AppOptions): App
  closeListenSocket(socket: ListenSocket): void
  localPort(socket: ListenSocket): number
}

export type BackendName = 'uws' | 'node'
