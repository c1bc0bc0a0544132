import assert from 'node:assert/strict'
import { normalKey } from '../protocol/key.ts'

/**
 * Content of a column. `binary` is 20 bytes and `hex` 40 hexadecimal digits; `key` is a key of 8 to
 * 64 characters; `serial` is a number that is a primary key; `bytes` needs 64 bits; `number`
 * accepts any integer type; `flag` is 1 or 0.
 */
export type ColumnKind =
  | 'binary'
  | 'hex'
  | 'key'
  | 'uuid'
  | 'serial'
  | 'id'
  | 'number'
  | 'bytes'
  | 'flag'

/** The largest value of a `bytes` column: the largest that a signed 64-bit column holds. */
export const TOTAL_MAX = 2n ** 63n - 1n

/** A column of the database. */
export type ColumnOutline = {
  readonly name: string
  readonly kind: ColumnKind
  /** Key of config.toml that names it. */
  readonly key: string
}

/** A column, and the field of a row that it stores. */
export type Column<Row> = ColumnOutline & { readonly field: keyof Row & string }

const HASH = /^[0-9a-f]{40}$/
const DIGITS = /^[0-9]{1,16}$/

/** Encodes a field for the database's driver. Asserts that the column can return the same value. */
export function encode(kind: ColumnKind, value: unknown): unknown {
  switch (kind) {
    case 'binary':
      return Buffer.from(hash(value), 'hex')
    case 'hex':
      return hash(value)
    case 'key':
      assert.ok(typeof value === 'string' && normalKey(value, 'text') === value, 'a key is valid')
      return value
    case 'uuid':
      assert.ok(typeof value === 'string' && value.length === 36, 'a UUID has 36 characters')
      return value
    case 'serial':
    case 'id':
      assert.ok(typeof value === 'string' && DIGITS.test(value), 'an id is a decimal number')
      return wholeNumber(Number(value))
    case 'number':
      return wholeNumber(value)
    case 'bytes':
      return byteCount(value)
    case 'flag':
      return value === true ? 1 : 0
  }
}

/** Decodes a field of the database's driver. Undefined for an invalid hash. */
export function decode(
  kind: ColumnKind,
  value: unknown,
): string | number | bigint | boolean | undefined {
  switch (kind) {
    case 'binary': {
      const hex = binaryToHex(value)
      return hex.length === 40 ? hex : undefined
    }
    case 'hex': {
      const hex = String(value).trimEnd().toLowerCase()
      return HASH.test(hex) ? hex : undefined
    }
    case 'key':
      return normalKey(String(value).trimEnd(), 'text')
    case 'uuid':
      return String(value).trimEnd()
    case 'serial':
    case 'id':
      return String(value)
    case 'number':
      return Number(value)
    case 'bytes':
      return toBytes(value)
    case 'flag':
      return Number(value) !== 0
  }
}

function binaryToHex(value: unknown): string {
  if (Buffer.isBuffer(value)) return value.toString('hex')
  return value instanceof ArrayBuffer ? Buffer.from(value).toString('hex') : ''
}

function hash(value: unknown): string {
  assert.ok(typeof value === 'string' && HASH.test(value), 'a hash is 40 lower-case hex digits')
  return value
}

function wholeNumber(value: unknown): number {
  assert.ok(Number.isSafeInteger(value) && Number(value) >= 0, 'a number is whole, 0 to 2^53 - 1')
  return Number(value)
}

/**
 * Converts a count of the driver and limits it to the range that muster counts in: other programs
 * may write any value.
 */
function toBytes(value: unknown): bigint {
  const digits = /^-?\d+/.exec(String(value ?? 0))?.[0] ?? '0'
  return bounded(BigInt(digits))
}

/** The value, or the nearest one that a `bytes` column may have. */
export function bounded(bytes: bigint): bigint {
  return bytes < 0n ? 0n : bytes > TOTAL_MAX ? TOTAL_MAX : bytes
}

function byteCount(value: unknown): bigint {
  assert.ok(typeof value === 'bigint' || Number.isSafeInteger(value), 'a count is a whole number')
  const bytes = BigInt(value as bigint | number)
  assert.ok(bytes >= 0n && bytes <= TOTAL_MAX, 'a count is from 0 to 2^63 - 1')
  return bytes
}
