import { normalKey } from '../protocol/key.ts'
import type { FactorEntry, UserEntry } from './admin.ts'

/**
 * Users and factors as lists of texts and numbers, the name of the entry first, as they are sent to
 * other nodes. Bytes are decimal numbers, because JSON has no integers of 64 bits.
 */

/** Packs an argument of a call, or its entries. */
export function packed(arg: unknown): unknown {
  if (Array.isArray(arg)) return arg.map(packed)
  if (typeof arg !== 'object' || arg === null) return arg
  return 'scope' in arg ? packFactors(arg as FactorEntry) : packUser(arg as UserEntry)
}

function packUser(user: UserEntry): unknown[] {
  const { active, completed, downloaded, id, key, updated, uploaded } = user
  return [key, id, String(uploaded), String(downloaded), completed, updated, active ? 1 : 0]
}

function packFactors({ download, id, scope, until, upload }: FactorEntry): unknown[] {
  return [id, scope, upload, download, until]
}

/** The way to restore the entries of a call. Throws if the value is not an entry. */
export const UNPACKED: Readonly<Record<string, (entry: unknown) => unknown>> = {
  setUsers: unpackUser,
  setFactors: unpackFactors,
  removeFactors: unpackFactors,
}

const BYTES = /^\d{1,20}$/
const ID = /^(\d{1,16}|[0-9a-fA-F-]{36})$/

function unpackUser(entry: unknown): UserEntry {
  const [key, id, uploaded, downloaded, completed, updated, active] = list(entry, 7)
  const isUser =
    typeof key === 'string' &&
    normalKey(key, 'text') === key &&
    ID.test(String(id)) &&
    BYTES.test(String(uploaded)) &&
    BYTES.test(String(downloaded)) &&
    isCount(completed) &&
    isCount(updated)
  if (!isUser) throw new Error('the change has a malformed user')
  return {
    key,
    id: String(id),
    uploaded: BigInt(String(uploaded)),
    downloaded: BigInt(String(downloaded)),
    completed,
    updated,
    active: active === 1,
  }
}

const SCOPES = ['everybody', 'torrent', 'user'] as const

function unpackFactors(entry: unknown): FactorEntry {
  const [id, name, upload = 0, download = 0, until = 0] = list(entry, 5)
  const scope = SCOPES.find(known => known === name)
  const isFactor = typeof id === 'string' && isCount(upload) && isCount(download) && isCount(until)
  if (!scope || !isFactor) throw new Error('the change has malformed factors')
  return { id, scope, upload, download, until }
}

function list(entry: unknown, length: number): unknown[] {
  return Array.isArray(entry) && entry.length === length ? entry : []
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && Number(value) >= 0
}
