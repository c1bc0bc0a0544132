import { readFileSync } from 'node:fs'
import { parse, TomlError } from 'smol-toml'
import { configError } from '../errors.ts'
import type { Config } from './config.ts'
import { applyForeignEnvironment, removeForeignKeys } from './foreign-keys.ts'
import type { KeySchema, SectionSchema } from './key-schema.ts'
import { SECTIONS } from './schema.ts'
import { validateConfig } from './validate.ts'
import { configWarnings } from './warnings.ts'

export type LoadOptions = {
  /** Path of a TOML file. Without it, only the defaults and the environment apply. */
  readonly file?: string
  readonly environment: Readonly<Record<string, string | undefined>>
}

export type LoadedConfig = {
  readonly config: Config
  readonly warnings: readonly string[]
  /** The text of the file, empty without one. */
  readonly text: string
}

type Table = Record<string, unknown>

/**
 * Reads the file, applies the environment variables and validates the result. Throws an
 * OperatorError with one line for each error.
 */
export function loadConfig({ file, environment }: LoadOptions): LoadedConfig {
  const text = file === undefined ? '' : readText(file)
  const raw = file === undefined ? {} : parseToml(file, text)
  applyEnvironment(raw, environment)
  applyForeignEnvironment(raw, environment)
  const aliased = translateAliases(raw)
  const { warnings, faults } = removeForeignKeys(raw)
  faults.push(...persistentTables(raw))
  if (faults.length > 0) throw configError(faults)
  const config = validateConfig(raw)
  return { config, warnings: [...aliased, ...warnings, ...configWarnings(config)], text }
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    throw configError([`${file}: cannot read the file: ${(error as Error).message}`])
  }
}

function parseToml(file: string, text: string): Table {
  try {
    return parse(text)
  } catch (error) {
    if (!(error instanceof TomlError)) throw error
    throw configError([`${file}:${error.line}:${error.column}: ${error.message.split('\n')[0]}`])
  }
}

/** Torrust-Actix can store single tables with database.persistent = false; muster cannot. */
function persistentTables(raw: Table): string[] {
  if (isTable(raw['database']) && raw['database']['persistent'] === false) {
    const tables = isTable(raw['database_structure']) ? raw['database_structure'] : {}
    return Object.entries(tables)
      .filter(([, table]) => isTable(table) && table['persistent'] === true)
      .map(
        ([name]) =>
          `database_structure.${name}.persistent: must be false with database.persistent = false; to store only some tables, set database.persistent = true and the persistent key of the others to false (found true)`,
      )
  }
  return []
}

/** Removes the path of a database in memory, which Torrust-Actix has, where nothing is stored. */
function forgetMemoryDatabase({ database }: Table): void {
  if (!isTable(database) || database['persistent'] !== false) return
  if (/^sqlite:(\/\/)?:memory:/.test(String(database['path']))) delete database['path']
}

/** Whether the value is the text of a whole number, which an environment variable may be. */
function isDigits(value: unknown): boolean {
  return typeof value === 'string' && /^\d+$/.test(value)
}

function isTable(value: unknown): value is Table {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** Translates the spellings of Torrust-Actix. */
function translateAliases(raw: Table): string[] {
  const warnings: string[] = []
  if ('log_console_interval' in raw) {
    const seconds = raw['log_console_interval']
    table(raw, 'log')['statistics_interval'] ??= isDigits(seconds) ? Number(seconds) : seconds
    delete raw['log_console_interval']
  }
  forgetMemoryDatabase(raw)
  if ('log_level' in raw) {
    table(raw, 'log')['level'] ??= raw['log_level']
    delete raw['log_level']
  }
  const log = raw['log']
  if (typeof log === 'object' && log !== null && 'level' in log && log.level === 'off')
    log.level = 'silent'
  for (const section of ['http_server', 'api_server']) {
    for (const server of Array.isArray(raw[section]) ? (raw[section] as Table[]) : []) {
      // A flag in Torrust-Actix. `true`, which trusts every address, is not supported.
      if (server?.['trusted_proxies'] === false) server['trusted_proxies'] = []
    }
  }
  for (const server of Array.isArray(raw['udp_server']) ? (raw['udp_server'] as Table[]) : []) {
    const method = server?.['receive_method']
    if (method !== 'io_uring' && method !== 'rio') continue
    server['receive_method'] = 'auto'
    warnings.push(`udp_server.receive_method: "${method}" is not supported; using "auto"`)
  }
  return warnings
}

/**
 * The table `name`, created if it is missing, with the outer tables of a dotted name. A value of
 * another type is left for validation to reject.
 */
function table(raw: Table, name: string): Table {
  return name.split('.').reduce((outer, part) => {
    outer[part] ??= {}
    const found = outer[part]
    return typeof found === 'object' && found !== null ? (found as Table) : {}
  }, raw)
}

function applyEnvironment(raw: Table, environment: LoadOptions['environment']): void {
  for (const [name, value] of Object.entries(environment)) {
    if (value === undefined) continue
    if (name === 'LOG_LEVEL') {
      table(raw, 'log')['level'] = value
      continue
    }
    for (const [sectionName, section] of Object.entries(SECTIONS)) {
      const target = environmentTarget(raw, sectionName, section, name)
      if (!target) continue
      const schema = section.keys[target.key]
      target.table[target.key] = schema ? readValue(value, schema) : value
    }
  }
}

/** The table and key that an environment variable of this section sets. */
function environmentTarget(
  raw: Table,
  sectionName: string,
  section: SectionSchema,
  name: string,
): { table: Table; key: string } | undefined {
  if (!name.startsWith(section.environment)) return undefined
  const rest = name.slice(section.environment.length)
  if (!section.list)
    return rest ? { table: table(raw, sectionName), key: rest.toLowerCase() } : undefined
  const [, number, key] = /^(\d{1,3})_(.+)$/.exec(rest) ?? []
  if (!key) return undefined
  raw[sectionName] ??= structuredClone(section.defaults ?? [])
  const list = raw[sectionName]
  if (!Array.isArray(list)) return undefined
  if (Number(number) > list.length) {
    throw configError([
      `${name}: ${sectionName}[${Number(number) - 1}] is not configured; number the tables without gaps`,
    ])
  }
  list[Number(number)] ??= {}
  return { table: list[Number(number)] as Table, key: key.toLowerCase() }
}

function readValue(text: string, schema: KeySchema): unknown {
  if (schema.type === 'boolean') {
    if (/^(true|1|yes|on)$/i.test(text)) return true
    return /^(false|0|no|off)$/i.test(text) ? false : text
  }
  if (schema.type === 'array') {
    // Torrust-Actix has flags for some of these lists.
    return /^(false|0|no|off)?$/i.test(text) ? [] : text.split(',').map(part => part.trim())
  }
  if (schema.type === 'object') return readTable(text)
  const mayBeNumber =
    schema.type === 'integer' || (Array.isArray(schema.type) && schema.type.includes('integer'))
  return mayBeNumber && /^-?\d+$/.test(text) ? Number(text) : text
}

/** An inline table of TOML; any other text is left for validation to reject. */
function readTable(text: string): unknown {
  try {
    return parse(`table = ${text}`)['table']
  } catch {
    return text
  }
}
