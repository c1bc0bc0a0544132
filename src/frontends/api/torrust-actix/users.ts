import type { User, UserEntry } from '../../../admin/admin.ts'
import { type Call, type Handler, inBatches } from '../call.ts'
import { isHash, readBytes, readCount } from '../hashes.ts'
import { isUserId, userJson } from '../operations/users.ts'
import {
  bulkReply,
  jsonReply,
  NOT_FOUND,
  OK,
  type Reply,
  removedStatus,
  repeatReply,
  statusReply,
} from '../replies.ts'
import { hasHashLength, readHash } from './entries.ts'

const UNKNOWN = 'unknown user_hash'

/** Users are named by UUID or number. A key names a user too. */
export const userHandlers: Record<string, Handler> = {
  async getUser(call) {
    const { admin } = call
    const [key] = await keysOf(call, [call.param('userhash')])
    const [user] = key === undefined ? [] : await admin.users([key])
    return user ? jsonReply(userAnswer(user)) : statusReply(404, UNKNOWN)
  },

  async postUser(call) {
    const user = readPathUser(call)
    if ('type' in user) return user
    const [outcome] = await call.admin.setUsers([user])
    return outcome === 'added'
      ? statusReply(200, 'user_hash added')
      : repeatReply(call.repeatStatus, 304, 'user_hash updated')
  },

  async deleteUser(call) {
    const { admin, repeatStatus } = call
    const [key] = await keysOf(call, [call.param('userhash')])
    const [outcome] = key === undefined ? [] : await admin.removeUsers([key])
    return outcome === 'deleted' ? OK : repeatReply(repeatStatus, 304, UNKNOWN)
  },

  async getUsers(call) {
    const { admin } = call
    const names = [...new Set(call.body as string[])]
    const found = await eachKnown(call, names, batch => admin.users(batch))
    return bulkReply('users', names, name => {
      const user = found.get(name)
      return user ? userAnswer(user) : { status: UNKNOWN }
    })
  },

  /** Entries whose key does not have 40 characters are skipped. The last one for an id wins. */
  async postUsers({ admin, body, userIdUuid }) {
    const users = new Map<string, UserEntry>()
    for (const entry of body as [string, string, number, number, number, number, number][]) {
      const [id, key, uploaded, downloaded, completed, updated, active] = entry
      if (!hasHashLength(key)) continue
      if (!isHash(key)) return statusReply(400, 'invalid key_hash')
      if (!isUserId(id, userIdUuid)) return invalidId(userIdUuid)
      users.set(id, {
        id,
        key: key.toLowerCase(),
        uploaded: BigInt(uploaded),
        downloaded: BigInt(downloaded),
        completed,
        updated,
        active: active !== 0,
      })
    }
    const list = [...users.values()]
    const outcomes = await inBatches(list, batch => admin.setUsers(batch))
    const texts = list.map(({ id }, n) => {
      const status = outcomes[n] === 'added' ? 'user_hash added' : 'user_hash updated'
      return [id, { status }] as const
    })
    return jsonReply({ status: 'ok', users: Object.fromEntries(texts) })
  },

  async deleteUsers(call) {
    const { admin } = call
    const names = [...new Set(call.body as string[])]
    const outcomes = await eachKnown(call, names, batch => admin.removeUsers(batch))
    return bulkReply('users', names, name => removedStatus(outcomes.get(name), 'user_hash'))
  },
}

type UserCall = Pick<Call, 'admin' | 'userIdUuid'>

/** The keys of users by id or key; undefined for an unknown id. */
async function keysOf(
  { admin, userIdUuid }: UserCall,
  names: readonly string[],
): Promise<(string | undefined)[]> {
  const ids = names.filter(name => isUserId(name, userIdUuid))
  const found = await inBatches(ids, batch => admin.userKeys(batch))
  const keys = new Map(ids.map((id, n) => [id, found[n]]))
  return names.map(name => (isHash(name) ? name.toLowerCase() : keys.get(name)))
}

/** Calls `send` for the keys of these users, and returns the answers by name. */
async function eachKnown<Answer>(
  call: UserCall,
  names: readonly string[],
  send: (keys: readonly string[]) => Promise<readonly Answer[]>,
): Promise<Map<string, Answer>> {
  const keys = await keysOf(call, names)
  const known = names.flatMap((name, n) => {
    const key = keys[n]
    return key === undefined ? [] : [[name, key] as const]
  })
  const answers = await inBatches(
    known.map(([, key]) => key),
    send,
  )
  return new Map(
    known.flatMap(([name], n) => {
      const answer = answers[n]
      return answer === undefined ? [] : [[name, answer] as const]
    }),
  )
}

function userAnswer(user: User): object {
  const torrents = Object.fromEntries(user.torrentsActive)
  return { status: 'ok', ...userJson(user), torrents_active: torrents }
}

function invalidId(isUuid: boolean): Reply {
  return statusReply(400, isUuid ? 'invalid uuid' : 'invalid id')
}

function readPathUser({ param, userIdUuid }: Call): UserEntry | Reply {
  const uploaded = readBytes(param('uploaded'), 'uploaded')
  const downloaded = readBytes(param('downloaded'), 'downloaded')
  const completed = readCount(param('completed'), 'completed')
  const updated = readCount(param('updated'), 'updated')
  const active = readCount(param('active'), 'active', 255)
  if (
    typeof uploaded !== 'bigint' ||
    typeof downloaded !== 'bigint' ||
    typeof completed !== 'number' ||
    typeof updated !== 'number' ||
    typeof active !== 'number'
  ) {
    return NOT_FOUND
  }
  const key = readHash(param('key'), 'key_hash')
  if (typeof key !== 'string') return key
  const id = param('id')
  if (!isUserId(id, userIdUuid)) return invalidId(userIdUuid)
  return { id, key, uploaded, downloaded, completed, updated, active: active !== 0 }
}
