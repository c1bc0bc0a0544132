import { INFO_HASH } from '../protocol/records.ts'
import type { Announce } from './current-announce.ts'
import {
  ABSENT,
  createHashTable,
  findHashed,
  type HashTable,
  hasKeys,
  openHashTable,
  type SharedHashTable,
} from './tables/hash-table.ts'
import type { HashKey } from './tables/keyed-hash.ts'
import { type Factors, ONE, readFactors, type Users } from './user-records.ts'

/**
 * Factors by which the bytes of users are credited: for everybody, per torrent and per user, in
 * thousandths, each with an optional end. An announce is credited with the product of those that
 * are in force. The main thread writes them, all threads read them without a lock.
 */

/** The largest factor, and the largest product of factors. */
export const FACTOR_MAX = 10 * ONE

/** Torrents that can have factors. */
const TORRENTS_MAX = 500_000

/** The factors of everybody, in words. Factors are stored as the difference from 1. */
const ALL_UP = 0
const ALL_DOWN = 1
const ALL_UNTIL = 2 // Unix seconds, 0 for never
const ALL_WORDS = 4

export type SharedFactors = {
  readonly everybody: SharedArrayBuffer
  /** By info hash: both factors in one number, and their end. */
  readonly torrents: SharedHashTable
  readonly ends: SharedHashTable
}

export type FactorTables = {
  readonly everybody: Int32Array<SharedArrayBuffer>
  readonly torrents: HashTable
  readonly ends: HashTable
}

export function createFactors(hashKey: HashKey): SharedFactors {
  return {
    everybody: new SharedArrayBuffer(ALL_WORDS * 4),
    torrents: createHashTable(TORRENTS_MAX, hashKey),
    ends: createHashTable(TORRENTS_MAX, hashKey),
  }
}

export function openFactors({ everybody, torrents, ends }: SharedFactors): FactorTables {
  return {
    everybody: new Int32Array(everybody),
    torrents: openHashTable(torrents),
    ends: openHashTable(ends),
  }
}

/** The factors of everybody from now on. */
export function setEverybody({ everybody }: FactorTables, factors: Factors): void {
  // No thread sees a new factor with an old end.
  Atomics.store(everybody, ALL_UP, 0)
  Atomics.store(everybody, ALL_DOWN, 0)
  Atomics.store(everybody, ALL_UNTIL, factors.until)
  Atomics.store(everybody, ALL_UP, factors.upload - ONE)
  Atomics.store(everybody, ALL_DOWN, factors.download - ONE)
}

/** Both factors of a torrent as the value of an entry. */
export function packFactors({ upload, download }: Factors): number {
  return upload * (FACTOR_MAX + 1) + download
}

/** Writes the product of the factors that are in force for the announce into `factors`. */
export function findFactors(
  tables: FactorTables,
  users: Users,
  user: number,
  announce: Announce,
  factors: Factors,
): void {
  const { nowSeconds, hash, request, at } = announce
  readFactors(users, user, nowSeconds, factors)
  const { everybody, torrents, ends } = tables
  if (everybody[ALL_UP] !== 0 || everybody[ALL_DOWN] !== 0) {
    if (isInForce(everybody[ALL_UNTIL]! >>> 0, nowSeconds)) {
      multiply(factors, everybody[ALL_UP]! + ONE, everybody[ALL_DOWN]! + ONE)
    }
  }
  if (!hasKeys(torrents)) return
  const packed = findHashed(torrents, hash, request.view, at + INFO_HASH)
  if (packed === ABSENT) return
  const until = findHashed(ends, hash, request.view, at + INFO_HASH)
  if (!isInForce(Math.max(0, until), nowSeconds)) return
  const download = packed % (FACTOR_MAX + 1)
  multiply(factors, (packed - download) / (FACTOR_MAX + 1), download)
}

function isInForce(until: number, nowSeconds: number): boolean {
  return until === 0 || until > nowSeconds
}

function multiply(factors: Factors, upload: number, download: number): void {
  factors.upload = product(factors.upload, upload)
  factors.download = product(factors.download, download)
}

/** The product of two factors in thousandths, rounded down. */
export function product(a: number, b: number): number {
  return Math.min(FACTOR_MAX, Math.floor((a * b) / ONE))
}

/** Bytes times a factor in thousandths, rounded down to whole bytes. */
export function timesFactor(bytes: number, factor: number): number {
  if (factor === ONE) return bytes
  // Without the division first, the product could exceed 2^53.
  const rest = bytes % ONE
  return ((bytes - rest) / ONE) * factor + Math.floor((rest * factor) / ONE)
}
