import type { Config } from './config.ts'

/** Rules of [nodes]: key, rule and found value of each that the configuration breaks. */
export function nodesChecks(config: Config): (readonly [string, string, string])[] {
  const { nodes } = config
  const faults: (readonly [string, string, string])[] = []
  if (nodes.servers.length === 0) return faults
  if (nodes.secret.length < SECRET_CHARACTERS) {
    const found = nodes.secret === '' ? '""' : `${nodes.secret.length} characters`
    faults.push([
      'nodes.secret',
      `must have at least ${SECRET_CHARACTERS} characters, the same on all nodes`,
      found,
    ])
  }
  if ((nodes.tls_cert === '') !== (nodes.tls_key === '')) {
    faults.push(['nodes.tls_key', 'must be set together with nodes.tls_cert', `"${nodes.tls_key}"`])
  }
  for (const [key, isOn, isStored] of sharedLists(config)) {
    if (!isOn || (isStored && config.database.engine !== 'sqlite3')) continue
    faults.push([
      `tracker_config.${key}`,
      'must be false with nodes.servers, unless PostgreSQL or MySQL stores it for all nodes',
      'true',
    ])
  }
  return faults
}

const SECRET_CHARACTERS = 32

/** Each switch, whether it is on, and whether a database stores its entries. */
function sharedLists(config: Config) {
  const { database, database_structure: tables, tracker_config: tracker } = config
  const isStored = (table: { readonly persistent: boolean }) =>
    database.persistent && table.persistent
  return [
    ['whitelist_enabled', tracker.whitelist_enabled, isStored(tables.whitelist)],
    ['blacklist_enabled', tracker.blacklist_enabled, isStored(tables.blacklist)],
    ['keys_enabled', tracker.keys_enabled, isStored(tables.keys)],
    ['users_enabled', tracker.users_enabled, isStored(tables.users)],
  ] as const
}

/** Whether the text is the address of a NATS server. */
export function isNatsServer(text: string): boolean {
  return /^(nats|tls):\/\/[^\s/@?#]+$/.test(text) && URL.canParse(text)
}
