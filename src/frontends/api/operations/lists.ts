import type { ListName } from '../../../admin/admin.ts'
import { type Handler, inBatches } from '../call.ts'
import { readHash, uniqueHashes } from '../hashes.ts'
import { bulkReply, OK, removedText, repeatReply, statusReply } from '../replies.ts'
import { setText } from './torrents.ts'

export const listHandlers: Record<string, Handler> = {
  getWhitelist: one('whitelist'),
  postWhitelist: addOne('whitelist'),
  deleteWhitelist: removeOne('whitelist'),
  getWhitelists: many('whitelist'),
  postWhitelists: addMany('whitelist'),
  // The document names this member `torrents`, as in the answer for torrents.
  deleteWhitelists: removeMany('whitelist', 'torrents'),
  clearWhitelist: clear('whitelist'),
  getBlacklist: one('blacklist'),
  postBlacklist: addOne('blacklist'),
  deleteBlacklist: removeOne('blacklist'),
  getBlacklists: many('blacklist'),
  postBlacklists: addMany('blacklist'),
  deleteBlacklists: removeMany('blacklist', 'blacklists'),
  clearBlacklist: clear('blacklist'),
}

function one(list: ListName): Handler {
  return async ({ admin, param }) => {
    const hash = readHash(param('infohash'), 'info_hash')
    if (typeof hash !== 'string') return hash
    const [isListed] = await admin.listed(list, [hash])
    return isListed ? OK : statusReply(404, `unknown ${list} ${hash}`)
  }
}

function addOne(list: ListName): Handler {
  return async ({ admin, param, repeatStatus }) => {
    const hash = readHash(param('infohash'), 'info_hash')
    if (typeof hash !== 'string') return hash
    const [outcome] = await admin.addListed(list, [hash])
    return outcome === 'added' ? OK : repeatReply(repeatStatus, 404, `info_hash updated ${hash}`)
  }
}

function removeOne(list: ListName): Handler {
  return async ({ admin, param, repeatStatus }) => {
    const hash = readHash(param('infohash'), 'info_hash')
    if (typeof hash !== 'string') return hash
    const [outcome] = await admin.removeListed(list, [hash])
    return outcome === 'deleted' ? OK : repeatReply(repeatStatus, 404, `unknown ${list} ${hash}`)
  }
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
    return bulkReply(member, hashes, (_, n) => removedText(outcomes[n], 'info_hash'))
  }
}

function clear(list: ListName): Handler {
  return async ({ admin }) => {
    await admin.clearList(list)
    return OK
  }
}
