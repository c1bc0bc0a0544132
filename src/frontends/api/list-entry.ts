import type { ListName } from '../../admin/admin.ts'
import type { Handler } from './call.ts'
import { OK, type Reply, repeatReply, statusReply } from './replies.ts'

/** Differences between the APIs that serve lists. */
export type EntryRules = {
  readonly readHash: (text: string, name: 'info_hash') => string | Reply
  /** Status of an addition or removal that changes nothing, unless the client's setting differs. */
  readonly repeatStatus: 304 | 404
  readonly unknown: (list: ListName, hash: string) => string
  readonly repeated: (hash: string) => string
}

/** Handlers that look up, add and remove one entry of a list. */
export function entryHandlers(list: ListName, rules: EntryRules) {
  return {
    one: forHash(rules, async ({ admin }, hash) => {
      const [isListed] = await admin.listed(list, [hash])
      return isListed ? OK : statusReply(404, rules.unknown(list, hash))
    }),
    add: forHash(rules, async ({ admin, repeatStatus }, hash) => {
      const [outcome] = await admin.addListed(list, [hash])
      if (outcome === 'added') return OK
      return repeatReply(repeatStatus, rules.repeatStatus, rules.repeated(hash))
    }),
    remove: forHash(rules, async ({ admin, repeatStatus }, hash) => {
      const [outcome] = await admin.removeListed(list, [hash])
      if (outcome === 'deleted') return OK
      return repeatReply(repeatStatus, rules.repeatStatus, rules.unknown(list, hash))
    }),
  }
}

type Answer = (call: Parameters<Handler>[0], hash: string) => Promise<Reply>

function forHash(rules: EntryRules, answer: Answer): Handler {
  return async call => {
    const hash = rules.readHash(call.param('infohash'), 'info_hash')
    return typeof hash === 'string' ? answer(call, hash) : hash
  }
}
