import type { FactorEntry, HitAndRun, Transfer } from '../../../admin/admin.ts'
import type { KeyFormat } from '../../../protocol/key.ts'
import type { Call, Handler } from '../call.ts'
import { invalid, isHash, readHash, readKey } from '../hashes.ts'
import { LIST_ENTRIES, LIST_ENTRIES_MAX } from '../limits.ts'
import { jsonReply, OK, type Reply, statusReply } from '../replies.ts'
import { isUserId, readUserKey, userIdJson } from './users.ts'

/** The torrents, flags and factors of users, for private trackers. */
export const accountHandlers: Record<string, Handler> = {
  async getAccount(call) {
    const key = await userKeyOf(call)
    if (typeof key === 'object') return key
    const account = await call.admin.account(key)
    if (!account) return unknownUser(key)
    const { downloading, factors, grewTooFast } = account
    return jsonReply({
      status: 'ok',
      key,
      flags: grewTooFast ? ['grew_too_fast'] : [],
      downloading,
      factors: factors ? factorJson(factors) : null,
    })
  },

  async deleteFlags(call) {
    const key = await userKeyOf(call)
    if (typeof key === 'object') return key
    return (await call.admin.clearFlags(key)) ? OK : unknownUser(key)
  },

  async listFlagged({ admin }) {
    return jsonReply({ status: 'ok', users: await admin.flaggedUsers(LIST_ENTRIES_MAX) })
  },

  async getUserTorrents(call) {
    const key = await userKeyOf(call)
    if (typeof key === 'object') return key
    const page = readPage(call, isHash)
    if ('body' in page) return page
    const found = await call.admin.userTorrents(key, page.cursor, page.limit, page.hitAndRun)
    if (!found) return unknownUser(key)
    return jsonReply({
      status: 'ok',
      torrents: found.transfers.map(transfer => ({
        info_hash: transfer.hash,
        ...transferJson(transfer),
      })),
      next: found.next ?? null,
    })
  },

  async getTorrentUsers(call) {
    const { admin, param, query, userIdUuid } = call
    const hash = readHash(param('infohash'), 'info_hash')
    if (typeof hash !== 'string') return hash
    const page = readPage(call, text => isUserId(text, userIdUuid))
    if ('body' in page) return page
    const isCompleted = query.get('completed') === '1'
    const filter = { isCompleted, ...(page.hitAndRun && { hitAndRun: page.hitAndRun }) }
    const found = await admin.torrentUsers(hash, page.cursor, page.limit, filter)
    return jsonReply({
      status: 'ok',
      users: found.transfers.map(transfer => ({
        ...userIdJson(transfer.id),
        key: transfer.key,
        ...transferJson(transfer),
      })),
      next: found.next ?? null,
    })
  },

  async listFactors(call) {
    const page = readPage(call, () => true)
    if ('body' in page) return page
    const { entries, next = null } = await call.admin.factors(page.cursor, page.limit)
    return jsonReply({ status: 'ok', factors: entries.map(factorJson), next })
  },

  async postFactors({ admin, body, keyFormat }) {
    const entries: FactorEntry[] = []
    for (const value of body as FactorJson[]) {
      const id = readTarget(value, keyFormat)
      if (typeof id !== 'string') return id
      entries.push(factorEntry(value, id))
    }
    return outcomes(await admin.setFactors(entries))
  },

  async deleteFactors({ admin, body, keyFormat }) {
    const entries: Pick<FactorEntry, 'scope' | 'id'>[] = []
    for (const value of body as Pick<FactorJson, 'scope' | 'id'>[]) {
      const id = readTarget(value, keyFormat)
      if (typeof id !== 'string') return id
      entries.push({ scope: value.scope, id })
    }
    return outcomes(await admin.removeFactors(entries))
  },
}

type FactorJson = {
  readonly scope: FactorEntry['scope']
  readonly id?: string
  readonly upload?: number
  readonly download?: number
  readonly until?: number
}

/** Factors have three decimal places. */
const THOUSANDTHS = 1000

function factorEntry(
  { scope, upload = 1, download = 1, until = 0 }: FactorJson,
  id: string,
): FactorEntry {
  return {
    scope,
    id,
    upload: Math.round(upload * THOUSANDTHS),
    download: Math.round(download * THOUSANDTHS),
    until,
  }
}

function factorJson({ scope, id, upload, download, until }: FactorEntry): object {
  return {
    scope,
    ...(scope !== 'everybody' && { id }),
    upload: upload / THOUSANDTHS,
    download: download / THOUSANDTHS,
    until,
  }
}

/** Returns the id of a factor: none for everybody, an info hash, or the key of a user. */
function readTarget(
  { scope, id = '' }: Pick<FactorJson, 'scope' | 'id'>,
  keyFormat: KeyFormat,
): string | Reply {
  if (scope === 'everybody') return id === '' ? '' : invalid('id', id)
  const target = scope === 'user' ? readKey(id, 'user_hash', keyFormat) : readHash(id, 'info_hash')
  return typeof target === 'string' ? target : invalid('id', id)
}

function outcomes(list: readonly string[]): Reply {
  return jsonReply({ status: 'ok', factors: list })
}

async function userKeyOf({ admin, keyFormat, param, userIdUuid }: Call): Promise<string | Reply> {
  const name = param('userhash')
  const key = await readUserKey(admin, name, userIdUuid, keyFormat)
  return key ?? unknownUser(name)
}

function unknownUser(key: string): Reply {
  return statusReply(404, `unknown user_hash ${key}`)
}

type Page = {
  readonly cursor: string
  readonly limit: number
  readonly hitAndRun?: HitAndRun
}

function readPage({ query }: Call, isCursor: (text: string) => boolean): Page | Reply {
  const limitText = query.get('limit') ?? String(LIST_ENTRIES)
  const limit = /^\d{1,5}$/.test(limitText) ? Number(limitText) : 0
  if (limit < 1 || limit > LIST_ENTRIES_MAX) return invalid('limit', limitText)
  const cursor = query.get('cursor') ?? ''
  if (cursor !== '' && !isCursor(cursor)) return invalid('cursor', cursor)
  const below = query.get('hit_and_run')
  if (below === null) return { cursor, limit }
  if (!/^\d{1,10}$/.test(below)) return invalid('hit_and_run', below)
  return { cursor, limit, hitAndRun: { seedingBelow: Number(below) } }
}

function transferJson(transfer: Transfer): object {
  return {
    uploaded: transfer.uploaded,
    downloaded: transfer.downloaded,
    credited_up: transfer.creditedUp,
    credited_down: transfer.creditedDown,
    idle_up: transfer.idleUp,
    seeding_seconds: transfer.seeding,
    left: transfer.left,
    first_announce: transfer.first,
    last_announce: transfer.last,
    completed: transfer.completed,
    completed_at: transfer.completedAt,
    active: transfer.isActive ? 1 : 0,
  }
}
