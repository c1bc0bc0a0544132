import assert from 'node:assert/strict'

/**
 * What a column holds. `binary` is 20 bytes and `hex` 40 hexadecimal digits; `serial` is a number that is a primary key; `bytes` needs 64 bits,
 * a `number` takes what there is; `flag` is 1 or 0.
 */
export type ColumnKind = 'binary' | 'hex' | 'uuid' | 'serial' | 'number' | 'bytes' | 'flag'

/** A column of the database. */
export type ColumnOutline = {
  readonly name: string
  readonly kind: ColumnKind
  /** Key of config.toml that names it. */
  readonly key: string
}

/** A column, and the field of a row that it keeps. */
export type Column<Row> = ColumnOutline & { readonly field: keyof Row & string }

const HASH = /^[0-9a-f]{40}$/
const DIGITS = /^[0-9]{1,16}$/

/** A field as the database's driver takes it. Asserts that it is what the column can give back. */
export function encode(kind: ColumnKind, value: unknown): unknown {
  switch (kind) {
    case 'binary':
      return Buffer.from(hash(value), 'hex')
    case 'hex':
      return hash(value)
    case 'uuid':
      assert.ok(typeof value === 'string' && value.length === 36, 'a UUID has 36 characters')
      return value
    case 'serial':
      assert.ok(typeof value === 'string' && DIGITS.test(value), 'an id is a decimal number')
      return wholeNumber(Number(value))
    case 'number':
    case 'bytes':
      return wholeNumber(value)
    case 'flag':
      return value === true ? 1 : 0
  }
}

/** A field out of what the database's driver gives; undefined for what is no hash where one should be. */
export function decode(kind: ColumnKind, value: unknown): string | number | boolean | undefined {
  switch (kind) {
    case 'binary': {
      const hex = binaryToHex(value)
      return hex.length === 40 ? hex : undefined
    }
    case 'hex': {
      const hex = String(value).trimEnd().toLowerCase()
      return HASH.test(hex) ? hex : undefined
    }
    case 'uuid':
      return String(value).trimEnd()
    case 'serial':
      return String(value)
    case 'number':
    case 'bytes':
      return Number(value)
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
