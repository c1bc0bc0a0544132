/** Pieces of a body, none of them empty. */
export type Chunks = AsyncGenerator<string, void, void>

/** An answer before it is written. */
export type Reply = {
  readonly status: number
  readonly type: string
  readonly body: string | Uint8Array | Chunks
  readonly headers?: readonly (readonly [name: string, value: string])[]
}

export const JSON_TYPE = 'application/json'

/** `{"status": text}`; a 304 has no body (RFC 9110 §15.4.5), so its text goes in the header `x-status`. */
export function statusReply(status: number, text: string): Reply {
  return status === 304
    ? { status, type: JSON_TYPE, body: '', headers: [['x-status', text]] }
    : { status, type: JSON_TYPE, body: JSON.stringify({ status: text }) }
}

export const OK = statusReply(200, 'ok')
export const BAD_JSON_BODY = statusReply(400, 'bad json body')
export const BODY_OVERFLOW = statusReply(400, 'body overflow')
export const NOT_FOUND = statusReply(404, 'not found')
export const DATABASE_ERROR = statusReply(500, 'database error')
export const INTERNAL_ERROR = statusReply(500, 'internal error')

export function jsonReply(value: unknown): Reply {
  return { status: 200, type: JSON_TYPE, body: JSON.stringify(value) }
}

export function chunkedReply(chunks: Chunks): Reply {
  return { status: 200, type: JSON_TYPE, body: chunks }
}

export function methodNotAllowed(allow: readonly string[]): Reply {
  return { ...statusReply(405, 'method not allowed'), headers: [['allow', allow.join(', ')]] }
}
