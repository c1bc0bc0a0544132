import type { ListName } from '../../../admin/admin.ts'
import { type Handler, inBatches } from '../call.ts'
import { readHash, uniqueHashes } from '../hashes.ts'
import { type EntryRules, entryHandlers } from '../list-entry.ts'
import { bulkReply, OK, removedStatus } from '../replies.ts'
import { setText } from './torrents.ts'

const RULES: EntryRules = {
  readHash,
  repeatStatus: 404,
  unknown: (list, hash) => `unknown ${list} ${hash}`,
  repeated: hash => `info_hash updated ${hash}`,
}
const whitelist = entryHandlers('whitelist', RULES)
const blacklist = entryHandlers('blacklist', RULES)

export const listHandlers: Record<string, Handler> = {
  getWhitelist: whitelist.one,
  postWhitelist: whitelist.add,
  deleteWhitelist: whitelist.remove,
  getWhitelists: many('whitelist'),
  postWhitelists: addMany('whitelist'),
  // The document names this member `torrents`, as in the answer for torrents.
  deleteWhitelists: removeMany('whitelist', 'torrents'),
  clearWhitelist: clear('whitelist'),
  getBlacklist: blacklist.one,
  postBlacklist: blacklist.add,
  deleteBlacklist: blacklist.remove,
  getBlacklists: many('blacklist'),
  postBlacklists: addMany('blacklist'),
  deleteBlacklists: removeMany('blacklist', 'blacklists'),
  clearBlacklist: clear('blacklist'),
}

function many(list: ListName): Handler {
  return async ({ admin, body }) => {
    const hashes = uniqueHashes(body as string[])
    const listed = await inBatches(hashes, batch => admin.listed(list, batch))
    return bulkReply(`${list}s`, hashes, (_, n) => listed[n] === true)
  }
}

function addMany(list: ListName): Handler {
  return async ({ admin, body }) => {
    const hashes = uniqueHashes(body as string[])
    const outcomes = await inBatches(hashes, batch => admin.addListed(list, batch))
    return bulkReply(`${list}s`, hashes, (_, n) => setText(outcomes[n]))
  }
}

function removeMany(list: ListName, member: string): Handler {
  return async ({ admin, body }) => {
    const hashes = uniqueHashes(body as string[])
    const outcomes = await inBatches(hashes, batch => admin.removeListed(list, batch))
    return bulkReply(member, hashes, (_, n) => removedStatus(outcomes[n], 'info_hash'))
  }
}

function clear(list: ListName): Handler {
  return async ({ admin }) => {
    await admin.clearList(list)
    return OK
  }
}
