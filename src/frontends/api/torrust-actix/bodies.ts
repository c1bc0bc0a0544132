import { isBytes } from '../hashes.ts'
import type { BodyRule } from '../openapi.ts'
import { BAD_JSON_BODY } from '../replies.ts'

function required(isValid: (body: unknown) => boolean): BodyRule {
  return { isRequired: true, check: body => (isValid(body) ? undefined : BAD_JSON_BODY) }
}

function isText(value: unknown): value is string {
  return typeof value === 'string'
}

/** A u64 of Rust, as far as a JavaScript number is exact. */
function isCount(value: unknown): boolean {
  return Number.isSafeInteger(value) && (value as number) >= 0
}

const TEXTS = required(body => Array.isArray(body) && body.every(isText))

const COUNTS = required(
  body =>
    typeof body === 'object' &&
    body !== null &&
    !Array.isArray(body) &&
    Object.values(body).every(isCount),
)

/** `[id, key, uploaded, downloaded, completed, updated, active]`. */
function isUser(entry: unknown): boolean {
  if (!Array.isArray(entry) || entry.length !== 7) return false
  const [id, key, uploaded, downloaded, ...counts] = entry as unknown[]
  if (!isText(id) || !isText(key) || !isBytes(uploaded) || !isBytes(downloaded)) return false
  return counts.every(isCount) && (counts[2] as number) <= 255
}

const USERS = required(body => Array.isArray(body) && body.every(isUser))

/** The bodies of bulk requests that Torrust-Actix accepts, by operation. */
export const TORRUST_ACTIX_BODIES: Readonly<Record<string, BodyRule>> = {
  getTorrents: TEXTS,
  postTorrents: COUNTS,
  deleteTorrents: TEXTS,
  getWhitelists: TEXTS,
  postWhitelists: TEXTS,
  deleteWhitelists: TEXTS,
  getBlacklists: TEXTS,
  postBlacklists: TEXTS,
  deleteBlacklists: TEXTS,
  getKeys: TEXTS,
  postKeys: COUNTS,
  deleteKeys: TEXTS,
  getUsers: TEXTS,
  postUsers: USERS,
  deleteUsers: TEXTS,
}
