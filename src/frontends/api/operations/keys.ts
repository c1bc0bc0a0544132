import { normalKey } from '../../../protocol/key.ts'
import { type Handler, inBatches } from '../call.ts'
import { readCount, readKey, uniqueKeys } from '../hashes.ts'
import { COUNT_MAX } from '../limits.ts'
import {
  BAD_JSON_BODY,
  bulkReply,
  jsonReply,
  OK,
  removedStatus,
  repeatReply,
  statusReply,
} from '../replies.ts'

export const keyHandlers: Record<string, Handler> = {
  async getKey({ admin, keyFormat, param }) {
    const hash = readKey(param('keyhash'), 'key_hash', keyFormat)
    if (typeof hash !== 'string') return hash
    const [lifetime] = await admin.keys([hash])
    if (!lifetime) return statusReply(404, `unknown key_hash ${hash}`)
    return jsonReply({ status: 'ok', timeout: lifetime.left })
  },

  async postKey({ admin, keyFormat, param, repeatStatus }) {
    const hash = readKey(param('keyhash'), 'key_hash', keyFormat)
    if (typeof hash !== 'string') return hash
    const timeout = readCount(param('timeout'), 'timeout', COUNT_MAX)
    if (typeof timeout !== 'number') return timeout
    const [outcome] = await admin.setKeys([[hash, timeout]])
    return outcome === 'added' ? OK : repeatReply(repeatStatus, 304, `key_hash updated ${hash}`)
  },

  async deleteKey({ admin, keyFormat, param, repeatStatus }) {
    const hash = readKey(param('keyhash'), 'key_hash', keyFormat)
    if (typeof hash !== 'string') return hash
    const [outcome] = await admin.removeKeys([hash])
    return outcome === 'deleted' ? OK : repeatReply(repeatStatus, 304, `unknown key_hash ${hash}`)
  },

  /** Unknown keys are omitted, because 0 means a key that never expires. */
  async getKeys({ admin, body, keyFormat }) {
    const hashes = uniqueKeys(body as string[], keyFormat)
    const lifetimes = await inBatches(hashes, batch => admin.keys(batch))
    const known = hashes
      .map((hash, n) => [hash, lifetimes[n]?.left] as const)
      .filter(([, left]) => left !== undefined)
    return jsonReply({ status: 'ok', keys: Object.fromEntries(known) })
  },

  /** Reports an invalid hash in its place, and sets the other keys. */
  async postKeys({ admin, body, keyFormat }) {
    const entries = new Map<string, number>()
    const texts = new Map<string, string>()
    for (const [text, timeout] of Object.entries(body as Record<string, number>)) {
      if (timeout < 0 || timeout > COUNT_MAX) return BAD_JSON_BODY
      const key = normalKey(text, keyFormat)
      if (key !== undefined) entries.set(key, timeout)
      else texts.set(text, 'invalid key_hash')
    }
    const list = [...entries]
    const outcomes = await inBatches(list, batch => admin.setKeys(batch))
    for (const [n, [hash]] of list.entries()) {
      texts.set(hash, outcomes[n] === 'added' ? 'ok' : 'key_hash updated')
    }
    return jsonReply({ status: 'ok', keys: Object.fromEntries(texts) })
  },

  async deleteKeys({ admin, body, keyFormat }) {
    const hashes = uniqueKeys(body as string[], keyFormat)
    const outcomes = await inBatches(hashes, batch => admin.removeKeys(batch))
    return bulkReply('keys', hashes, (_, n) => removedStatus(outcomes[n], 'key_hash'))
  },

  async clearKeys({ admin }) {
    await admin.clearKeys()
    return OK
  },
}
