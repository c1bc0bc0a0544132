import { exactJson } from '../../json.ts'

/** Chunks of a body. No chunk is empty. */
export type Chunks = AsyncGenerator<string, void, void>

/** An answer before it is written. */
export type Reply = {
  readonly status: number
  readonly type: string
  readonly body: string | Uint8Array | Chunks
  readonly headers?: readonly (readonly [name: string, value: string])[]
}

export const JSON_TYPE = 'application/json'

/**
 * `{"status": text}`. A 304 does not have a body (RFC 9110 section 15.4.5), so the header
 * `x-status` has its text.
 */
export function statusReply(status: number, text: string): Reply {
  return status === 304
    ? { status, type: JSON_TYPE, body: '', headers: [['x-status', text]] }
    : { status, type: JSON_TYPE, body: JSON.stringify({ status: text }) }
}

/**
 * Status of a change whose effect is already there, and of the removal of an unknown entry.
 * `document` is what the OpenAPI document says, 304 or 404. `ok` is 200 with the same text, for
 * HTTP clients that treat every other status as a failure.
 */
export type RepeatStatus = 'document' | 'ok'

/** Answers as the OpenAPI document describes them, or as the program Torrust-Actix 4.2 does. */
export type Compatibility = 'document' | 'torrust-actix'

/** Answers a repeated change; `documented` is its status in the OpenAPI document. */
export function repeatReply(mode: RepeatStatus, documented: number, text: string): Reply {
  return statusReply(mode === 'ok' ? 200 : documented, text)
}

export const OK = statusReply(200, 'ok')
export const BAD_JSON_BODY = statusReply(400, 'bad json body')
export const BODY_OVERFLOW = statusReply(400, 'body overflow')
export const NOT_FOUND = statusReply(404, 'not found')
export const SEVERAL_HOSTS = statusReply(400, 'several Host headers')
export const FOREIGN_HOST = statusReply(421, 'host is not allowed')
export const DATABASE_ERROR = statusReply(500, 'database error')
export const INTERNAL_ERROR = statusReply(500, 'internal error')

export function jsonReply(value: unknown): Reply {
  return { status: 200, type: JSON_TYPE, body: exactJson(value) }
}

/** A bulk answer: the value for each of the names, in the JSON member `member`. */
export function bulkReply(
  member: string,
  names: readonly string[],
  valueFor: (name: string, n: number) => unknown,
): Reply {
  const values = names.map((name, n) => [name, valueFor(name, n)] as const)
  return jsonReply({ status: 'ok', [member]: Object.fromEntries(values) })
}

/** Value of a bulk answer for a name that was to be removed; `kind` is what it names. */
export function removedStatus(outcome: string | undefined, kind: string): { status: string } {
  return { status: outcome === 'deleted' ? 'ok' : `unknown ${kind}` }
}

export function chunkedReply(chunks: Chunks): Reply {
  return { status: 200, type: JSON_TYPE, body: chunks }
}

export function methodNotAllowed(allow: readonly string[]): Reply {
  return { ...statusReply(405, 'method not allowed'), headers: [['allow', allow.join(', ')]] }
}
