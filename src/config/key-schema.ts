/** One key: a JSON schema, with what the configuration file and the documentation say about it. */
export type KeySchema = {
  readonly type: string | readonly string[]
  readonly default: unknown
  readonly description: string
  /** What may stand here, where the schema's own words do not say it well. */
  readonly allowed?: string
  readonly enum?: readonly string[]
  readonly minimum?: number
  readonly minLength?: number
  readonly maximum?: number
  readonly pattern?: string
  readonly format?: string
  readonly items?: { readonly type: string; readonly format?: string }
  readonly anyOf?: readonly object[]
  /** Masked wherever the configuration is printed. */
  readonly secret?: boolean
}

export type SectionSchema = {
  readonly description: string
  /** A list of tables, `[[name]]`. */
  readonly list: boolean
  /** What a list holds when the file says nothing. */
  readonly defaults?: readonly Record<string, unknown>[]
  /** `TRACKER__X` for a table, `HTTP_0_X` for a list. */
  readonly environment: string
  /** Keys that are read at the start alone; a reload takes the others. */
  readonly restart?: 'all' | readonly string[]
  readonly keys: Readonly<Record<string, KeySchema>>
}

/** A number of seconds. */
export function seconds(defaultValue: number, minimum: number, description: string): KeySchema {
  return { type: 'integer', default: defaultValue, minimum, maximum: 86_400, description }
}

/** A switch that is off unless it is set. */
export function switchedOff(description: string): KeySchema {
  return { type: 'boolean', default: false, description }
}
