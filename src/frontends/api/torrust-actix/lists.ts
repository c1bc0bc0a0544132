import type { ListName } from '../../../admin/admin.ts'
import { type Handler, inBatches } from '../call.ts'
import { type EntryRules, entryHandlers } from '../list-entry.ts'
import { setText } from '../operations/torrents.ts'
import { jsonReply, type Reply } from '../replies.ts'
import { hasHashLength, hashesOf, type Named, readHash, splitEntries, statuses } from './entries.ts'
import { removed } from './torrents.ts'

const RULES: EntryRules = {
  readHash,
  repeatStatus: 304,
  unknown: () => 'unknown info_hash',
  repeated: () => 'info_hash updated',
}
const whitelist = entryHandlers('whitelist', RULES)
const blacklist = entryHandlers('blacklist', RULES)

export const listHandlers: Record<string, Handler> = {
  getWhitelist: whitelist.one,
  postWhitelist: whitelist.add,
  deleteWhitelist: whitelist.remove,
  getWhitelists: many('whitelist'),
  postWhitelists: addMany('whitelist'),
  deleteWhitelists: removeMany('whitelist'),
  getBlacklist: blacklist.one,
  postBlacklist: blacklist.add,
  deleteBlacklist: blacklist.remove,
  getBlacklists: many('blacklist'),
  postBlacklists: addMany('blacklist'),
  deleteBlacklists: removeMany('blacklist'),
}

type Entries = { readonly named: readonly Named[]; readonly invalid: readonly string[] }

/** The whitelist refuses a request with a malformed entry. The blacklist answers in its place. */
function readEntries(list: ListName, body: unknown): Entries | Reply {
  const texts = body as string[]
  if (list === 'blacklist') return splitEntries(texts)
  for (const text of texts) {
    const hash = readHash(text, 'info_hash')
    if (typeof hash !== 'string') return hash
  }
  return splitEntries(texts.filter(hasHashLength))
}

function invalidEntries(invalid: readonly string[]): object {
  return Object.fromEntries(invalid.map(text => [text, { status: 'invalid info_hash' }]))
}

function many(list: ListName): Handler {
  return async ({ admin, body }) => {
    const entries = readEntries(list, body)
    if ('status' in entries) return entries
    const { named, invalid } = entries
    const listed = await inBatches(hashesOf(named), batch => admin.listed(list, batch))
    return jsonReply({
      status: 'ok',
      [`${list}s`]: Object.fromEntries([
        ...named.map(([text], n) => [text, listed[n] === true] as const),
        ...invalid.map(text => [text, false] as const),
      ]),
    })
  }
}

function addMany(list: ListName): Handler {
  return async ({ admin, body }) => {
    const entries = readEntries(list, body)
    if ('status' in entries) return entries
    const { named, invalid } = entries
    const outcomes = await inBatches(hashesOf(named), batch => admin.addListed(list, batch))
    return jsonReply({
      status: 'ok',
      [`${list}s`]: { ...statuses(named, n => setText(outcomes[n])), ...invalidEntries(invalid) },
    })
  }
}

function removeMany(list: ListName): Handler {
  return async ({ admin, body }) => {
    const entries = readEntries(list, body)
    if ('status' in entries) return entries
    const { named, invalid } = entries
    const outcomes = await inBatches(hashesOf(named), batch => admin.removeListed(list, batch))
    return jsonReply({
      status: 'ok',
      [`${list}s`]: { ...removed(named, outcomes, 'info_hash'), ...invalidEntries(invalid) },
    })
  }
}
