import { type Admin, AdminError } from '../../../admin/admin.ts'
import type { KeyFormat } from '../../../protocol/key.ts'
import type { HttpRequest } from '../../adapter.ts'
import {
  clientAddress,
  compileProxyRules,
  headerLines,
  type ProxyRules,
} from '../../client-address.ts'
import type { Call, Handler, Services } from '../call.ts'
import { createHostGuard } from '../host.ts'
import { listOperations, type Operation } from '../openapi.ts'
import { accountHandlers } from '../operations/accounts.ts'
import { certificateHandlers } from '../operations/certificates.ts'
import { keyHandlers } from '../operations/keys.ts'
import { listHandlers } from '../operations/lists.ts'
import { overviewHandlers } from '../operations/overview.ts'
import { pageHandlers } from '../operations/pages.ts'
import { statusHandlers } from '../operations/status.ts'
import { torrentHandlers } from '../operations/torrents.ts'
import { userHandlers } from '../operations/users.ts'
import { type StaticFiles, serveStatic } from '../pages/static-files.ts'
import { loadSwaggerUi } from '../pages/swagger-ui.ts'
import {
  type Compatibility,
  DATABASE_ERROR,
  FOREIGN_HOST,
  INTERNAL_ERROR,
  methodNotAllowed,
  NOT_FOUND,
  type RepeatStatus,
  type Reply,
  SEVERAL_HOSTS,
  statusReply,
} from '../replies.ts'
import { readToken, TokenGuard } from '../token.ts'
import { TORRUST_ACTIX_BODIES } from '../torrust-actix/bodies.ts'
import { TORRUST_ACTIX_HANDLERS } from '../torrust-actix/handlers.ts'
import { readBody } from './body.ts'
import type { Exchange } from './exchange.ts'
import { createRouter, type Router } from './router.ts'

export type ResponderOptions = {
  /** The address that the server listens on. */
  readonly host: string
  readonly token: string
  /** Serves the OpenAPI document and Swagger UI, without a token. */
  readonly swagger: boolean
  /** Whether the ids of users are UUIDs. Otherwise they are numbers. */
  readonly userIdUuid: boolean
  /** Format of keys; by default 40 hexadecimal digits. */
  readonly keyFormat?: KeyFormat
  /**
   * Status of a change that finds its effect already there, and of a removal that finds nothing.
   */
  readonly repeatStatus: RepeatStatus
  readonly compatibility: Compatibility
  /**
   * Host names that a request may have besides IP addresses and `localhost`. Empty: see host.ts.
   */
  readonly allowedHosts: readonly string[]
  readonly realIpHeader: string
  /** CIDR ranges of the proxies that may set `realIpHeader`. */
  readonly trustedProxies: readonly string[]
  /** Whether these proxies send a PROXY protocol header. The backend must be `node`. */
  readonly proxyProtocol: boolean
  /** Pages that are served without a token, by path. */
  readonly pages?: StaticFiles
  /** Called for every request that is answered with 500. */
  onError(error: unknown, operation: string): void
}

/** Operations of the document that static files answer. */
const STATIC_OPERATIONS = new Set(['getDocument', 'getSwaggerUi'])

const HANDLERS: Record<string, Handler> = {
  ...torrentHandlers,
  ...listHandlers,
  ...keyHandlers,
  ...userHandlers,
  ...accountHandlers,
  ...statusHandlers,
  ...overviewHandlers,
  ...pageHandlers,
  ...certificateHandlers,
}

/** Answer to a CORS preflight request. */
const PREFLIGHT: Reply = {
  status: 204,
  type: '',
  body: '',
  headers: [
    ['access-control-allow-methods', 'GET, POST, PUT, DELETE'],
    ['access-control-allow-headers', 'Accept, Authorization, Content-Type, X-Forwarded-For'],
    ['access-control-max-age', '3600'],
  ],
}

/**
 * Answers every request. It checks, in this order: host, files, route, token and body; then it runs
 * the operation.
 */
export class Responder {
  readonly #files: ReturnType<typeof serveStatic>
  readonly #handlers: Readonly<Record<string, Handler>>
  readonly #router: Router
  readonly #guard: TokenGuard
  readonly #services: Services
  readonly #isForeign: ReturnType<typeof createHostGuard>
  readonly #proxies: ProxyRules
  readonly #onError: ResponderOptions['onError']

  constructor(options: ResponderOptions, admin: Admin) {
    this.#files = serveStatic(
      new Map([...(options.swagger ? loadSwaggerUi() : []), ...(options.pages ?? [])]),
    )
    const operations = adaptedOperations(options.compatibility)
    this.#handlers = { ...HANDLERS, ...operations.handlers }
    this.#router = createRouter(operations.list)
    this.#guard = new TokenGuard(options.token, () => performance.now() / 1000)
    this.#services = {
      admin,
      userIdUuid: options.userIdUuid,
      repeatStatus: options.repeatStatus,
      keyFormat: options.keyFormat ?? 'hex',
    }
    this.#isForeign = createHostGuard(options)
    this.#proxies = compileProxyRules(options)
    this.#onError = options.onError
  }

  /** Answers one request. The request object is valid only until the function returns. */
  respond(exchange: Exchange, request: HttpRequest): void {
    const reply = this.#findReply(exchange, request)
    if (reply) void exchange.send(reply)
  }

  /** The reply that does not need an operation; undefined if the operation replies. */
  #findReply(exchange: Exchange, request: HttpRequest): Reply | undefined {
    const method = request.getMethod().toUpperCase()
    const hosts = headerLines(request, 'host')
    if (hosts.length > 1) return SEVERAL_HOSTS
    if (this.#isForeign(hosts[0] ?? '')) return FOREIGN_HOST
    if (method === 'OPTIONS') return PREFLIGHT
    const path = request.getUrl()
    const file = this.#files(method, path, request.getHeader('if-none-match'))
    if (file) return file
    const route = this.#router(method, path)
    if (!route) return NOT_FOUND
    const { operation } = route
    if (!operation) return methodNotAllowed(route.allow)
    const refusal = operation.isSecured ? this.#refuse(exchange, request) : undefined
    if (refusal) return refusal
    const query = new URLSearchParams(request.getQuery() ?? '')
    void this.#perform(exchange, operation, { ...this.#services, param: route.param, query })
    return undefined
  }

  #refuse(exchange: Exchange, request: HttpRequest): Reply | undefined {
    const address = clientAddress(exchange.response, request, this.#proxies)
    const token = readToken(request.getHeader('authorization'), request.getQuery() ?? '')
    return this.#guard.refuse(token, address)
  }

  async #perform(exchange: Exchange, operation: Operation, call: Omit<Call, 'body'>) {
    try {
      const read = operation.body
        ? await readBody(exchange, operation.body, this.#services.keyFormat)
        : NO_BODY
      if (exchange.isSettled) return
      await exchange.send(
        'refusal' in read
          ? read.refusal
          : await handlerOf(this.#handlers, operation)({ ...call, ...read }),
      )
    } catch (error) {
      const reply = failureReply(error)
      if (reply.status >= 500) this.#onError(error, operation.id)
      if (!exchange.isSettled) await exchange.send(reply)
    }
  }
}

const NO_BODY = { body: undefined }

/** The operations that are routed, with the bodies and handlers of the chosen compatibility. */
function adaptedOperations(compatibility: Compatibility): {
  readonly list: readonly Operation[]
  readonly handlers: Readonly<Record<string, Handler>>
} {
  const isOriginal = compatibility === 'torrust-actix'
  const routed = listOperations().filter(({ id }) => !STATIC_OPERATIONS.has(id))
  for (const operation of routed) handlerOf(HANDLERS, operation)
  return {
    list: isOriginal
      ? routed.map(operation => ({
          ...operation,
          body: TORRUST_ACTIX_BODIES[operation.id] ?? operation.body,
        }))
      : routed,
    handlers: isOriginal ? TORRUST_ACTIX_HANDLERS : {},
  }
}

function handlerOf(handlers: Readonly<Record<string, Handler>>, { id }: Operation): Handler {
  const handler = handlers[id]
  if (!handler) throw new Error(`operation ${id} of the document does not have a handler`)
  return handler
}

/** Maps a refusal of the admin side to its status. Every other error is a fault of the tracker. */
function failureReply(error: unknown): Reply {
  if (!(error instanceof AdminError)) return INTERNAL_ERROR
  return error.kind === 'not enabled' ? statusReply(400, error.message) : DATABASE_ERROR
}
