/** One key: a JSON schema, with the texts of the configuration file and the reference. */
export type KeySchema = {
  readonly type: string | readonly string[]
  readonly default: unknown
  readonly description: string
  /** Completes the sentence "must be ...", where it cannot be derived from the other fields. */
  readonly allowed?: string
  /** Plural noun of an integer, such as "seconds". */
  readonly unit?: string
  readonly enum?: readonly string[]
  readonly minimum?: number
  readonly minLength?: number
  readonly maximum?: number
  readonly pattern?: string
  readonly format?: string
  readonly items?: { readonly type: string; readonly format?: string }
  /** Names and values of a table whose names are not keys of the schema. */
  readonly propertyNames?: { readonly enum: readonly string[] }
  readonly additionalProperties?: { readonly type: string; readonly [rule: string]: unknown }
  readonly anyOf?: readonly object[]
  /** Masked wherever the configuration is printed. */
  readonly secret?: boolean
}

export type BooleanKey = KeySchema & { readonly type: 'boolean' }
export type IntegerKey = KeySchema & { readonly type: 'integer' }
export type StringKey = KeySchema & { readonly type: 'string' }
export type TextTableKey = KeySchema & {
  readonly type: 'object'
  readonly additionalProperties: { readonly type: 'string' }
}
export type NumberTableKey = KeySchema & {
  readonly type: 'object'
  readonly additionalProperties: { readonly type: 'integer' }
}
export type ListKey = KeySchema & { readonly type: 'array' }

export type SectionSchema = {
  readonly description: string
  /** A list of tables, `[[name]]`. */
  readonly list: boolean
  /** Tables of a list that the file does not set. */
  readonly defaults?: readonly Record<string, unknown>[]
  /** Prefix of environment variables: `TRACKER__` for a table, `HTTP_` for a list (`HTTP_0_X`). */
  readonly environment: string
  /** Keys that are read at startup only; a reload applies the others. */
  readonly restart?: 'all' | readonly string[]
  readonly keys: Readonly<Record<string, KeySchema>>
}

/** A list of strings in `format`, empty by default. */
export function listOf(format: string, allowed: string, description: string): ListKey {
  return {
    type: 'array',
    items: { type: 'string', format },
    default: [],
    allowed: `a list of ${allowed}`,
    description,
  }
}

/** An integer of seconds, at most a day. */
export function seconds(defaultValue: number, minimum: number, description: string): IntegerKey {
  return {
    type: 'integer',
    default: defaultValue,
    minimum,
    maximum: 86_400,
    unit: 'seconds',
    description,
  }
}

export function flag(defaultValue: boolean, description: string): BooleanKey {
  return { type: 'boolean', default: defaultValue, description }
}

/** A flag that is off by default. */
export function switchedOff(description: string): BooleanKey {
  return flag(false, description)
}

/** A flag that is on by default. */
export function switchedOn(description: string): BooleanKey {
  return flag(true, description)
}

/** The path of a file. */
export function filePath(defaultValue: string, description: string): StringKey {
  return {
    type: 'string',
    minLength: 1,
    default: defaultValue,
    allowed: 'the path of a file',
    description,
  }
}
