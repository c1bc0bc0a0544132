import { SECTIONS } from './schema.ts'

/**
 * Keys of Torrust-Actix that muster does not use. A key that is not needed is ignored with a
 * warning. A key that asks for a missing feature is an error.
 */

/** Ignored with a warning. `*` matches the rest of a name, `[]` any table of a list. */
const IGNORED: readonly string[] = [
  'tracker_config.peers_cleanup_threads',
  'tracker_config.total_downloads',
  'tracker_config.cluster*',
  'tracker_config.rtc_compression*',
  'http_server[].keep_alive',
  'http_server[].request_timeout',
  'http_server[].disconnect_timeout',
  'http_server[].threads',
  'http_server[].tls_connection_rate',
  'udp_server[].worker_threads',
  'udp_server[].reuse_address',
  'api_server[].keep_alive',
  'api_server[].request_timeout',
  'api_server[].disconnect_timeout',
  'api_server[].threads',
  'api_server[].tls_connection_rate',
  'sentry_config.*',
]

/** Flags of missing features. `false` is accepted. */
const NOT_SUPPORTED: Readonly<Record<string, string>> = {
  'sentry_config.enabled': 'Sentry, but OpenTelemetry ([telemetry])',
}

/** Environment variables of Torrust-Actix whose prefix is not that of a section of muster. */
const ENVIRONMENT: readonly [prefix: string, section: string][] = [['SENTRY__', 'sentry_config']]

export type ForeignKeys = { readonly warnings: string[]; readonly faults: string[] }

type Table = Record<string, unknown>

type IsForeign = (name: string, value: unknown) => boolean

/**
 * Copies environment variables that only Torrust-Actix uses into `raw`, to be handled like keys.
 */
export function applyForeignEnvironment(
  raw: Table,
  environment: Readonly<Record<string, string | undefined>>,
): void {
  for (const [name, value] of Object.entries(environment)) {
    if (value === undefined) continue
    if (name === 'LOG_CONSOLE_INTERVAL') raw['log_console_interval'] = value
    for (const [prefix, section] of ENVIRONMENT) {
      if (!name.startsWith(prefix) || name === prefix || section in SECTIONS) continue
      const table = raw[section] ?? {}
      if (!isTable(table)) continue
      raw[section] = table
      table[name.slice(prefix.length).toLowerCase()] = value
    }
  }
}

/**
 * Removes these keys from a parsed configuration and returns the warnings and errors for them.
 */
export function removeForeignKeys(raw: Table): ForeignKeys {
  const ignored: string[] = []
  const faults: string[] = []
  removeKeys(raw, '', (name, value) => {
    const pattern = name.replace(/\[\d+\]/g, '[]')
    const [section = ''] = pattern.split('.')
    // TOML allows names such as __proto__, which every object inherits.
    const known = Object.hasOwn(SECTIONS, section) ? SECTIONS[section] : undefined
    if (known && Object.hasOwn(known.keys, pattern.slice(section.length + 1))) return false
    const feature = Object.hasOwn(NOT_SUPPORTED, pattern) ? NOT_SUPPORTED[pattern] : undefined
    if (feature !== undefined) {
      if (!isOff(value))
        faults.push(`${name}: muster does not support ${feature}; set it to false or remove it`)
      return true
    }
    if (pattern === 'tracker_config.cluster' && isClusterMode(value)) {
      faults.push(`${name}: ${CLUSTER_FAULT}`)
      return true
    }
    if (!IGNORED.some(other => fits(pattern, other))) return false
    ignored.push(name)
    return true
  })
  return {
    warnings: ignored.length > 0 ? [`ignored (not used by muster): ${ignored.join(', ')}`] : [],
    faults,
  }
}

const CLUSTER_FAULT =
  'nodes' in SECTIONS
    ? 'muster has no master and no slaves; remove it, and configure [nodes] on every machine instead'
    : 'muster has no master and no slaves; set it to "standalone" or remove it, and use one machine'

function isClusterMode(value: unknown): boolean {
  return typeof value !== 'string' || !/^(standalone)?$/i.test(value)
}

/** A value that turns a flag off, also as the text of an environment variable. */
function isOff(value: unknown): boolean {
  return value === false || (typeof value === 'string' && /^(false|0|no|off)?$/i.test(value))
}

function isTable(value: unknown): value is Table {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function fits(name: string, pattern: string): boolean {
  return pattern.endsWith('*') ? name.startsWith(pattern.slice(0, -1)) : name === pattern
}

/**
 * Removes every key for which `isForeign` returns true, and tables that become empty. `isForeign`
 * is called for every key that is not a table.
 */
function removeKeys(table: Table, prefix: string, isForeign: IsForeign): void {
  for (const [key, value] of Object.entries(table)) {
    const name = prefix ? `${prefix}.${key}` : key
    if (isTable(value)) {
      const before = Object.keys(value).length
      removeKeys(value, name, isForeign)
      if (before > 0 && Object.keys(value).length === 0) delete table[key]
    } else if (Array.isArray(value) && value.length > 0 && value.every(isTable)) {
      value.forEach((item, n) => {
        removeKeys(item, `${name}[${n}]`, isForeign)
      })
    } else if (isForeign(name, value)) delete table[key]
  }
}
