import { type Handler, inBatches } from '../call.ts'
import { readCount } from '../hashes.ts'
import { jsonReply, NOT_FOUND, OK, repeatReply, statusReply } from '../replies.ts'
import { hashesOf, readHash, splitEntries, statuses } from './entries.ts'
import { removed } from './torrents.ts'

/** End time of a key that never expires, in Unix seconds: scripts compare it with the clock. */
const NEVER = 2 ** 32 - 1

export const keyHandlers: Record<string, Handler> = {
  async getKey({ admin, param }) {
    const hash = readHash(param('keyhash'), 'key_hash')
    if (typeof hash !== 'string') return hash
    const [lifetime] = await admin.keys([hash])
    if (!lifetime) return statusReply(404, 'unknown key_hash')
    return jsonReply({ status: 'ok', timeout: lifetime.end || NEVER })
  },

  async postKey({ admin, param, repeatStatus }) {
    const timeout = readCount(param('timeout'), 'timeout')
    if (typeof timeout !== 'number') return NOT_FOUND
    const hash = readHash(param('keyhash'), 'key_hash')
    if (typeof hash !== 'string') return hash
    const [outcome] = await admin.setKeys([[hash, timeout]])
    return outcome === 'added' ? OK : repeatReply(repeatStatus, 304, 'key_hash updated')
  },

  async deleteKey({ admin, param, repeatStatus }) {
    const hash = readHash(param('keyhash'), 'key_hash', 'key')
    if (typeof hash !== 'string') return hash
    const [outcome] = await admin.removeKeys([hash])
    return outcome === 'deleted' ? OK : repeatReply(repeatStatus, 304, 'unknown key_hash')
  },

  /** Unknown and malformed keys have the end time 0. */
  async getKeys({ admin, body }) {
    const { named, invalid } = splitEntries(body as string[])
    const lifetimes = await inBatches(hashesOf(named), batch => admin.keys(batch))
    const ends = named.map(([text], n) => {
      const lifetime = lifetimes[n]
      return [text, lifetime ? lifetime.end || NEVER : 0] as const
    })
    const unknown = invalid.map(text => [text, 0] as const)
    return jsonReply({ status: 'ok', keys: Object.fromEntries([...ends, ...unknown]) })
  },

  async postKeys({ admin, body }) {
    const timeouts = body as Record<string, number>
    const { named, invalid } = splitEntries(Object.keys(timeouts))
    const outcomes = await inBatches(named, batch =>
      admin.setKeys(batch.map(([text, hash]) => [hash, timeouts[text] ?? 0])),
    )
    const set = statuses(named, n => (outcomes[n] === 'added' ? 'ok' : 'key_hash updated'))
    return jsonReply({ status: 'ok', keys: { ...set, ...refusals(invalid, 'invalid key_hash') } })
  },

  async deleteKeys({ admin, body }) {
    const { named, invalid } = splitEntries(body as string[])
    const outcomes = await inBatches(hashesOf(named), batch => admin.removeKeys(batch))
    const answers = removed(named, outcomes, 'key_hash')
    return jsonReply({ status: 'ok', keys: { ...answers, ...refusals(invalid, 'invalid key') } })
  },
}

function refusals(texts: readonly string[], status: string): object {
  return Object.fromEntries(texts.map(text => [text, { status }]))
}
