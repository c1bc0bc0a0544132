import { parseExactJson } from '../../../json.ts'
import type { KeyFormat } from '../../../protocol/key.ts'
import { BODY_BYTES_MAX } from '../limits.ts'
import type { BodyRule } from '../openapi.ts'
import { BAD_JSON_BODY, BODY_OVERFLOW, type Reply } from '../replies.ts'
import type { Exchange } from './exchange.ts'

/** A valid body, or the refusal. */
export type BodyResult = { readonly body: unknown } | { readonly refusal: Reply }

/**
 * Reads a body to its end and validates it. The caller must call it before the request's handler
 * returns. The promise never settles if the client disconnects. A body over the limit is refused at
 * once, and the rest of it is dropped.
 */
export function readBody(
  exchange: Exchange,
  rule: BodyRule,
  format: KeyFormat,
): Promise<BodyResult> {
  return new Promise(resolve => {
    const chunks: Uint8Array[] = []
    let bytes = 0
    exchange.response.onData((chunk, isLast) => {
      bytes += chunk.byteLength
      if (bytes > BODY_BYTES_MAX) {
        chunks.length = 0
        resolve({ refusal: BODY_OVERFLOW })
        return
      }
      // The server reuses the chunk's memory, so it is copied.
      chunks.push(new Uint8Array(chunk.slice(0)))
      if (isLast) resolve(parseBody(Buffer.concat(chunks, bytes), rule, format))
    })
  })
}

const utf8 = new TextDecoder('utf-8', { fatal: true })

function parseBody(bytes: Uint8Array, rule: BodyRule, format: KeyFormat): BodyResult {
  if (bytes.length === 0 && !rule.isRequired) return { body: undefined }
  let body: unknown
  try {
    body = parseExactJson(utf8.decode(bytes))
  } catch {
    return { refusal: BAD_JSON_BODY }
  }
  const refusal = rule.check(body, format)
  return refusal ? { refusal } : { body }
}
