import type { Admin, User, UserEntry } from '../../../admin/admin.ts'
import { type KeyFormat, normalKey } from '../../../protocol/key.ts'
import { type Call, type Handler, inBatches } from '../call.ts'
import { invalid, isBytes, readBytes, readCount, readKey, uniqueKeys } from '../hashes.ts'
import { COUNT_MAX } from '../limits.ts'
import {
  BAD_JSON_BODY,
  bulkReply,
  jsonReply,
  OK,
  type Reply,
  removedStatus,
  repeatReply,
  statusReply,
} from '../replies.ts'

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/

export const userHandlers: Record<string, Handler> = {
  async getUser({ admin, keyFormat, param, userIdUuid }) {
    const name = param('userhash')
    const hash = await readUserKey(admin, name, userIdUuid, keyFormat)
    if (typeof hash === 'object') return hash
    const [user] = hash === undefined ? [] : await admin.users([hash])
    return user ? jsonReply(userJson(user)) : statusReply(404, `unknown user_hash ${hash ?? name}`)
  },

  async postUser(call) {
    const user = readPathUser(call)
    if ('status' in user) return user
    const [outcome] = await call.admin.setUsers([user])
    return outcome === 'added'
      ? statusReply(200, `user_hash added ${user.key}`)
      : repeatReply(call.repeatStatus, 304, `user_hash updated ${user.key}`)
  },

  async deleteUser({ admin, keyFormat, param, repeatStatus, userIdUuid }) {
    const name = param('userhash')
    const hash = await readUserKey(admin, name, userIdUuid, keyFormat)
    if (typeof hash === 'object') return hash
    const [outcome] = hash === undefined ? [] : await admin.removeUsers([hash])
    return outcome === 'deleted'
      ? OK
      : repeatReply(repeatStatus, 304, `unknown user_hash ${hash ?? name}`)
  },

  async getUsers({ admin, body, keyFormat }) {
    const hashes = uniqueKeys(body as string[], keyFormat)
    const users = await inBatches(hashes, batch => admin.users(batch))
    return bulkReply('users', hashes, (_, n) => {
      const user = users[n]
      return user ? { status: 'ok', ...userJson(user) } : { status: UNKNOWN }
    })
  },

  /** One invalid entry refuses the whole list. The last of several entries for one key wins. */
  async postUsers({ admin, body, keyFormat, userIdUuid }) {
    const users = new Map<string, UserEntry>()
    for (const entry of body as unknown[][]) {
      const user = readBodyUser(entry, userIdUuid, keyFormat)
      if ('status' in user) return user
      users.set(user.key, user)
    }
    const list = [...users.values()]
    const outcomes = await inBatches(list, batch => admin.setUsers(batch))
    return jsonReply({
      status: 'ok',
      users: Object.fromEntries(
        list.map(({ key }, n) => [
          key,
          outcomes[n] === 'added' ? 'user_hash added' : 'user_hash updated',
        ]),
      ),
    })
  },

  async deleteUsers({ admin, body, keyFormat }) {
    const hashes = uniqueKeys(body as string[], keyFormat)
    const outcomes = await inBatches(hashes, batch => admin.removeUsers(batch))
    return bulkReply('users', hashes, (_, n) => removedStatus(outcomes[n], 'user_hash'))
  },

  async clearUsers({ admin }) {
    await admin.clearUsers()
    return OK
  },
}

/**
 * Returns the key of the user that a path names by key or id, undefined for an unknown id, or the
 * refusal.
 */
export async function readUserKey(
  admin: Admin,
  name: string,
  isUuid: boolean,
  format: KeyFormat,
): Promise<string | Reply | undefined> {
  if (!isUserId(name, isUuid)) return readKey(name, 'user_hash', format)
  const [key] = await admin.userKeys([name])
  return key
}

/** Whether a text can be the id of a user: a UUID, or a number where ids are numbers. */
export function isUserId(text: string, isUuid: boolean): boolean {
  return isUuid ? UUID.test(text) : /^[1-9]\d{0,15}$/.test(text)
}

const UNKNOWN = 'unknown user_hash'

export function userIdJson(id: string): object {
  return UUID.test(id) ? { uuid: id } : { id: Number(id) }
}

export function userJson({ id, key, active, torrentsActive, ...counts }: User): object {
  return {
    ...userIdJson(id),
    key,
    uploaded: counts.uploaded,
    downloaded: counts.downloaded,
    completed: counts.completed,
    updated: counts.updated,
    active: active ? 1 : 0,
    torrents_active: torrentsActive.map(([hash, seen]) => ({ [hash]: seen })),
  }
}

function readPathUser({ keyFormat, param, userIdUuid }: Call): UserEntry | Reply {
  const key = readKey(param('key'), 'key_hash', keyFormat)
  if (typeof key !== 'string') return key
  const id = readId(param('id'), userIdUuid)
  if (typeof id !== 'string') return id
  const uploaded = readBytes(param('uploaded'), 'uploaded')
  if (typeof uploaded !== 'bigint') return uploaded
  const downloaded = readBytes(param('downloaded'), 'downloaded')
  if (typeof downloaded !== 'bigint') return downloaded
  const completed = readCount(param('completed'), 'completed', COUNT_MAX)
  if (typeof completed !== 'number') return completed
  const updated = readCount(param('updated'), 'updated', COUNT_MAX)
  if (typeof updated !== 'number') return updated
  const active = param('active')
  if (active !== '0' && active !== '1') return invalid('active', active)
  return { id, key, uploaded, downloaded, completed, updated, active: active === '1' }
}

/**
 * Reads `[id, key, uploaded, downloaded, completed, updated, active]`. The document's schema checks
 * only the length.
 */
function readBodyUser(
  entry: readonly unknown[],
  isUuid: boolean,
  format: KeyFormat,
): UserEntry | Reply {
  const [idValue, keyText, uploaded, downloaded, completed, updated, active] = entry
  if (typeof keyText !== 'string' || (typeof idValue !== 'string' && !isWhole(idValue))) {
    return BAD_JSON_BODY
  }
  if (!isBytes(uploaded) || !isBytes(downloaded) || !isCount(completed) || !isCount(updated)) {
    return BAD_JSON_BODY
  }
  if (active !== 0 && active !== 1) return BAD_JSON_BODY
  const key = normalKey(keyText, format)
  if (key === undefined) return invalid('key_hash', keyText)
  const id = readId(String(idValue), isUuid)
  if (typeof id !== 'string') return id
  return {
    id,
    key,
    uploaded: BigInt(uploaded),
    downloaded: BigInt(downloaded),
    completed,
    updated,
    active: active === 1,
  }
}

function isWhole(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0
}

function isCount(value: unknown): value is number {
  return isWhole(value) && value <= COUNT_MAX
}

/** Returns the id of a user, or the refusal, which names the kind of id that the text resembles. */
function readId(text: string, isUuid: boolean): string | Reply {
  if (UUID.test(text)) return isUuid ? text : invalid('uuid', text)
  if (/^\d+$/.test(text)) {
    const number = Number(text)
    const isValid = !isUuid && number > 0 && Number.isSafeInteger(number)
    return isValid ? String(number) : invalid('id', text)
  }
  return invalid(isUuid ? 'uuid' : 'id', text)
}
