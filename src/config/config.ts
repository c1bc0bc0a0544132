import type { SCHEMA } from './schema.ts'

/**
 * The configuration, derived from the schema: frozen, and safe for structured cloning. Names are
 * those of config.toml. Times are in seconds and sizes in bytes, except where a key says otherwise.
 */
export type Config = ConfigOf<number>

/** A configuration whose sizes are still text, such as "2 GiB". */
export type ConfigText = ConfigOf<string>

/** Value of one key. `Size` is the type of sizes. */
type ValueOf<Key, Size> = Key extends { readonly enum: readonly (infer Choice)[] }
  ? Choice
  : Key extends { readonly anyOf: readonly (infer Choice)[] }
    ? Choice extends { readonly const: infer Constant }
      ? Constant
      : Primitive<Choice>
    : Key extends { readonly format: 'size' }
      ? Size
      : Primitive<Key>

type Primitive<Key> = Key extends { readonly type: 'boolean' }
  ? boolean
  : Key extends { readonly type: 'integer' | 'number' }
    ? number
    : Key extends { readonly type: 'string' }
      ? string
      : Key extends { readonly type: 'array' }
        ? readonly string[]
        : Key extends { readonly type: 'object'; readonly additionalProperties: infer Value }
          ? Readonly<Record<string, Primitive<Value>>>
          : never

type Table<Keys, Size> = { readonly [Name in keyof Keys]: ValueOf<Keys[Name], Size> }

type Section<Schema, Size> = Schema extends { readonly list: true; readonly keys: infer Keys }
  ? readonly Table<Keys, Size>[]
  : Schema extends { readonly keys: infer Keys }
    ? Table<Keys, Size>
    : never

type SectionName = keyof typeof SCHEMA
type OuterName = SectionName extends infer Name
  ? Name extends `${infer Outer}.${string}`
    ? Outer
    : never
  : never

type ConfigOf<Size> = {
  readonly [Name in Exclude<SectionName, `${string}.${string}`>]: Section<
    (typeof SCHEMA)[Name],
    Size
  >
} & {
  readonly [Outer in OuterName]: {
    readonly [Name in SectionName as Name extends `${Outer}.${infer Inner}`
      ? Inner
      : never]: Section<(typeof SCHEMA)[Name], Size>
  }
}

export type TrackerConfig = Config['tracker_config']
export type ApiServerConfig = Config['api_server'][number]
export type UdpServerConfig = Config['udp_server'][number]
export type DatabaseConfig = Config['database']
export type DatabaseStructureConfig = Config['database_structure']
export type ListTableConfig = DatabaseStructureConfig['whitelist']
export type EventsConfig = Config['events']
export type LimitsConfig = Config['limits']
export type WebsocketConfig = Config['websocket']
export type SnapshotConfig = Config['snapshot']
