/**
 * Keys of Torrust-Actix that have no meaning here, or none yet. Its operators' files carry over: a key that muster solves by other means is
 * taken with a warning, but one that asks for what this version cannot do is an error, never silence.
 */

/** Taken and warned about. `*` ends a prefix; `[]` stands for any table of a list. */
const WITHOUT_MEANING: readonly string[] = [
  'log_console_interval',
  'tracker_config.peers_cleanup_threads',
  'tracker_config.total_downloads',
  'tracker_config.cluster*',
  'tracker_config.rtc_*',
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
  'cache.*',
  'sentry_config.*',
]

/** Switches of what this version has not: harmless while they are off. */
const NOT_IN_THIS_VERSION: Readonly<Record<string, string>> = {
  'http_server[].rtctorrent': 'RtcTorrent',
  'cache.enabled': 'a cache',
  'sentry_config.enabled': 'Sentry',
}

export type ForeignKeys = { readonly warnings: string[]; readonly faults: string[] }

/** Takes all such keys out of a parsed configuration, and says what there is to say about them. */
export function takeForeignKeys(raw: Record<string, unknown>): ForeignKeys {
  const ignored: string[] = []
  const faults: string[] = []
  walk(raw, '', (name, value) => {
    const pattern = name.replace(/\[\d+\]/g, '[]')
    const feature = NOT_IN_THIS_VERSION[pattern]
    if (feature !== undefined) {
      if (value !== false)
        faults.push(
          `${name}: ${JSON.stringify(value)} is not allowed; this version has not ${feature} yet, so only false is`,
        )
      return true
    }
    if (!WITHOUT_MEANING.some(known => fits(pattern, known))) return false
    ignored.push(name)
    return true
  })
  return {
    warnings:
      ignored.length > 0 ? [`without meaning here, and ignored: ${ignored.join(', ')}`] : [],
    faults,
  }
}

function isTable(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function fits(name: string, pattern: string): boolean {
  return pattern.endsWith('*') ? name.startsWith(pattern.slice(0, -1)) : name === pattern
}

/** Visits every key that holds no table, removes those that `take` returns true for, and then what became empty by it. */
function walk(
  table: Record<string, unknown>,
  prefix: string,
  take: (name: string, value: unknown) => boolean,
): void {
  for (const [key, value] of Object.entries(table)) {
    const name = prefix ? `${prefix}.${key}` : key
    if (isTable(value)) {
      const before = Object.keys(value).length
      walk(value, name, take)
      if (before > 0 && Object.keys(value).length === 0) delete table[key]
    } else if (Array.isArray(value) && value.length > 0 && value.every(isTable)) {
      value.forEach((item, n) => {
        walk(item, `${name}[${n}]`, take)
      })
    } else if (take(name, value)) delete table[key]
  }
}
