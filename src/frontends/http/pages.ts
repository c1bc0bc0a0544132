import { readFileSync } from 'node:fs'

/** An answer that does not need the engine. */
export type Page = {
  readonly status: string
  readonly headers: readonly (readonly [name: string, value: string])[]
  /** Undefined for an answer that must not have a body. */
  readonly body: string | Uint8Array | undefined
  /** Whether the connection is closed behind it. */
  readonly closes: boolean
}

const TEXT = ['content-type', 'text/plain'] as const
const METHODS = 'GET, HEAD, OPTIONS'

/** The paths that the health checks of load balancers and container platforms use by default. */
const HEALTH_PATHS = new Set(['/', '/health', '/healthz', '/health_check', '/ready', '/ping'])

export function isHealthPath(path: string): boolean {
  return HEALTH_PATHS.has(path)
}

export const HEALTHY = text('200 OK', 'ok')
export const UNHEALTHY = text('503 Service Unavailable', 'unavailable')

/** A bencoded failure, since a tracker client may show it to its user. */
export const NOT_FOUND = text('404 Not Found', 'd14:failure reason15:unknown requeste')

/** A body may follow that is not read, so the connection is closed. */
export const METHOD_NOT_ALLOWED: Page = {
  ...text('405 Method Not Allowed', 'only GET and HEAD', [['allow', METHODS]]),
  closes: true,
}

/** Permissions of a page of another origin (Fetch standard, "CORS protocol"). */
export const PREFLIGHT: Page = {
  status: '204 No Content',
  headers: [
    ['allow', METHODS],
    ['access-control-allow-methods', METHODS],
    ['access-control-allow-headers', 'Accept, Content-Type, X-Forwarded-For'],
    ['access-control-max-age', '3600'],
  ],
  body: undefined,
  closes: false,
}

/** The answer to a request of a tracker client. */
export function bencodedPage(body: Uint8Array): Page {
  return { status: '200 OK', headers: [TEXT], body, closes: false }
}

function text(status: string, body: string, headers: Page['headers'] = []): Page {
  return { status, headers: [TEXT, ...headers], body, closes: false }
}

/**
 * The configured answer to `GET /`: a redirect to an address that begins with http:// or https://,
 * or an HTML file. Undefined if none is configured. Throws when the file cannot be read.
 */
export function loadIndexPage(index: string): Page | undefined {
  if (index === '') return undefined
  if (/^https?:\/\//.test(index)) {
    return { ...text('302 Found', `see ${index}`), headers: [TEXT, ['location', index]] }
  }
  try {
    const body = readFileSync(index)
    return {
      status: '200 OK',
      headers: [['content-type', 'text/html; charset=utf-8']],
      body,
      closes: false,
    }
  } catch (error) {
    throw new Error(`cannot read http_server.index: ${(error as Error).message}`)
  }
}
