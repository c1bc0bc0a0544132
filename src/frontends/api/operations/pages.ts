import type { Admin, EntryList } from '../../../admin/admin.ts'
import type { Call, Handler } from '../call.ts'
import { invalid } from '../hashes.ts'
import { LIST_ENTRIES, LIST_ENTRIES_MAX } from '../limits.ts'
import { jsonReply } from '../replies.ts'
import { countsJson } from './overview.ts'
import { userJson } from './users.ts'

/** Listings of all entries, page by page, which Torrust-Actix does not have. */
export const pageHandlers: Record<string, Handler> = {
  listTorrents: pageOf('torrents', async (admin, hashes) =>
    (await admin.torrents(hashes)).flatMap(torrent =>
      torrent ? [{ info_hash: torrent.hash, ...countsJson(torrent) }] : [],
    ),
  ),
  listWhitelist: pageOf('whitelist', async (_, hashes) => hashes),
  listBlacklist: pageOf('blacklist', async (_, hashes) => hashes),
  listKeys: pageOf('keys', async (admin, hashes) =>
    (await admin.keys(hashes)).flatMap((lifetime, n) =>
      lifetime ? [{ key: hashes[n], timeout: lifetime.left }] : [],
    ),
  ),
  listUsers: pageOf('users', async (admin, hashes) =>
    (await admin.users(hashes)).flatMap(user => (user ? [userJson(user)] : [])),
  ),
}

/**
 * `describe` returns the text of the answer for each hash, and omits entries that have been removed
 * meanwhile.
 */
function pageOf(
  list: EntryList,
  describe: (admin: Admin, hashes: readonly string[]) => Promise<readonly unknown[]>,
): Handler {
  return async ({ admin, query }: Call) => {
    const limitText = query.get('limit') ?? String(LIST_ENTRIES)
    const limit = /^\d{1,5}$/.test(limitText) ? Number(limitText) : 0
    if (limit < 1 || limit > LIST_ENTRIES_MAX) return invalid('limit', limitText)
    const cursor = query.get('cursor') ?? ''
    const page = await admin.page(list, cursor, limit)
    if (!page) return invalid('cursor', cursor)
    const entries = await describe(admin, page.hashes)
    return jsonReply({ status: 'ok', [list]: entries, next: page.next ?? null })
  }
}
