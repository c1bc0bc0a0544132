import { Ajv, type ErrorObject, type ValidateFunction } from 'ajv'
import type { OperatorError } from '../errors.ts'
import { configError } from '../errors.ts'
import { type ExternalIp, parseExternalIp } from '../protocol/external-ip.ts'
import { isTrackerPath } from '../protocol/http/path.ts'
import { parseCidr, parseIpv4, parseIpv6 } from '../protocol/ip.ts'
import { parseCacheAddress } from './cache-address.ts'
import type { Config, ConfigText } from './config.ts'
import {
  DATABASE_PATH_FORMS,
  maskDatabasePath,
  parseDatabasePath,
  readDatabasePath,
} from './database-path.ts'
import { EVENT_KINDS } from './events-schema.ts'
import type { KeySchema } from './key-schema.ts'
import { applyProfile } from './limits-schema.ts'
import { isNatsServer, nodesChecks } from './nodes-checks.ts'
import { jsonSchema, sectionAt, sectionNamesAt } from './schema.ts'

const SIZE = /^(\d+)\s*(KiB|MiB|GiB)$/
const UNIT_BYTES: Record<string, number> = { KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30 }
const MEMORY_BYTES_MIN = 64 * 2 ** 20
const MEMORY_BYTES_MAX = 64 * 2 ** 30

/** Bytes of a size such as "512 MiB". Returns NaN for anything else. */
export function parseSize(text: string): number {
  const [, digits, unit = ''] = SIZE.exec(text) ?? []
  return Number(digits) * (UNIT_BYTES[unit] ?? Number.NaN)
}

/**
 * Host and port of `host:port`, with an IPv6 host in brackets. Returns undefined for anything else.
 */
export function parseBindAddress(text: string): { host: string; port: number } | undefined {
  const [, ipv6, ipv4, digits] = /^(?:\[([0-9a-fA-F:.]+)\]|([0-9.]+)):(\d{1,5})$/.exec(text) ?? []
  const host = ipv6 ?? ipv4 ?? ''
  const valid = (ipv6 ? parseIpv6(ipv6) : parseIpv4(host)) !== undefined
  return valid && Number(digits) <= 0xffff ? { host, port: Number(digits) } : undefined
}

// Compiling this schema is a large part of every start. A test validates the schema itself, and the
// code that validates one configuration is not worth optimizing.
const ajv = new Ajv({
  allErrors: true,
  strict: true,
  useDefaults: true,
  allowUnionTypes: true,
  validateSchema: false,
  meta: false,
  code: { optimize: false },
})
ajv.addFormat('bind-address', text => parseBindAddress(text) !== undefined)
ajv.addFormat('nats-server', isNatsServer)
ajv.addFormat('external-ip', text => text === '' || parseExternalIp(text) !== undefined)
ajv.addFormat('cidr', text => parseCidr(text) !== undefined)
ajv.addFormat('peer-id-prefix', /^[!-~]{1,20}$/)
ajv.addFormat('event-kind', new RegExp(`^(${EVENT_KINDS.join('|')})$`))
ajv.addFormat('tracker-path', isTrackerPath)
ajv.addFormat('header-name', /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/)
ajv.addFormat(
  'size',
  text => parseSize(text) >= MEMORY_BYTES_MIN && parseSize(text) <= MEMORY_BYTES_MAX,
)
ajv.addFormat('cache-address', text => parseCacheAddress(text) !== undefined)
ajv.addFormat('database-path', text => parseDatabasePath(text) !== undefined)

/** Reads an `external_ip`; undefined for the empty one. */
export function externalIpOf(text: string): ExternalIp | undefined {
  return text === '' ? undefined : parseExternalIp(text)
}

/**
 * Fills in defaults, checks all values and returns the frozen configuration. Throws an
 * OperatorError with one line for each error. Modifies `raw`.
 */
export function validateConfig(raw: Record<string, unknown>): Config {
  applyProfile(raw)
  checkValues(raw)
  const config: Config = {
    ...raw,
    engine: { ...raw.engine, memory: parseSize(raw.engine.memory) },
  }
  const lines = crossChecks(config)
  if (lines.length > 0) throw configError(lines)
  return deepFreeze(config)
}

/** Compiled schemas by the names of the sections that a configuration sets. */
const checks = new Map<string, ValidateFunction<ConfigText>>()

/** Fills in the defaults. Throws an OperatorError if the schema does not allow a value. */
function checkValues(raw: Record<string, unknown>): asserts raw is ConfigText {
  const names = Object.keys(raw).filter(name => sectionNamesAt([]).includes(name))
  const id = names.sort().join(' ')
  const check = checks.get(id) ?? ajv.compile<ConfigText>(jsonSchema(raw))
  checks.set(id, check)
  if (!check(raw)) throw faults(check.errors ?? [], raw)
}

function faults(errors: readonly ErrorObject[], raw: unknown): OperatorError {
  const lines = new Map<string, string>()
  for (const error of errors) {
    const path = error.instancePath.split('/').slice(1)
    if (error.keyword === 'additionalProperties') {
      const key = String(error.params['additionalProperty'])
      lines.set(`${error.instancePath}/${key}`, unknownKey(path, key, raw))
    } else if (!lines.has(error.instancePath)) {
      lines.set(error.instancePath, wrongValue(path, error, raw))
    }
  }
  return configError([...lines.values()])
}

function keyName(path: readonly string[]): string {
  return path.reduce(
    (name, part) => (isIndex(part) ? `${name}[${part}]` : name ? `${name}.${part}` : part),
    '',
  )
}

function unknownKey(path: readonly string[], key: string, raw: unknown): string {
  const names = path.filter(part => !isIndex(part))
  const section = sectionAt(names)?.section
  const known = section ? Object.keys(section.keys) : sectionNamesAt(names)
  const nearest = nearestName(key, known)
  const found = kindOf(valueAt(raw, [...path, key]))
  const kind = section ? 'key' : 'section'
  const problem = `${keyName([...path, key])}: unknown ${kind} (found ${found})`
  return nearest
    ? `${problem}; did you mean ${nearest}?`
    : `${problem}; known ${kind}s: ${known.join(', ')}`
}

function wrongValue(path: readonly string[], error: ErrorObject, raw: unknown): string {
  const { section, rest } = sectionAt(path.filter(part => !isIndex(part))) ?? {}
  const key = rest?.[0]
  const schema = key ? section?.keys[key] : undefined
  const whole = key ? path.slice(0, path.indexOf(key) + 1) : path
  const value = valueAt(raw, whole)
  // The message of ajv has the same form, such as "must be object".
  if (!schema) return wrong(keyName(whole), `${error.message}`, kindOf(value))
  if (schema.secret || schema.format === 'cache-address')
    return wrong(keyName(whole), `must be ${allowedText(schema)}`, kindOf(value))
  if (schema.format === 'database-path' && typeof value === 'string') {
    const path = readDatabasePath(value)
    const rule = 'fault' in path ? path.fault : `be ${allowedText(schema)}`
    return wrong(keyName(whole), `must ${rule}`, JSON.stringify(maskDatabasePath(value)))
  }
  return wrong(keyName(whole), `must be ${allowedText(schema)}`, printed(value))
}

/** An error line: the key, the rule and the value that was found, as JSON. */
function wrong(key: string, rule: string, found: string): string {
  return `${key}: ${rule} (found ${found})`
}

function isIndex(part: string): boolean {
  return /^\d+$/.test(part)
}

/** A value of a known key as JSON. Tables, URLs and texts of several lines may contain secrets. */
function printed(value: unknown): string {
  const text = JSON.stringify(value)
  const isTable = typeof value === 'object' && !Array.isArray(value)
  return isTable || /\\n|:\/\/.*@|@.*:\/\//.test(text) ? kindOf(value) : text
}

/** A value that may be a secret: only numbers and booleans are printed. */
function kindOf(value: unknown): string {
  if (typeof value === 'number' || typeof value === 'boolean') return String(value)
  if (typeof value === 'string') return 'a string'
  return Array.isArray(value) ? 'a list' : 'a table'
}

function valueAt(raw: unknown, path: readonly string[]): unknown {
  return path.reduce<unknown>(
    (value, part) => (value as Record<string, unknown> | undefined)?.[part],
    raw,
  )
}

/** Completes the sentence "must be ..." for a key. */
export function allowedText(schema: KeySchema): string {
  if (schema.allowed) return schema.allowed
  if (schema.enum) return `one of ${schema.enum.map(value => `"${value}"`).join(', ')}`
  if (schema.type === 'boolean') return 'true or false'
  if (schema.minimum !== undefined) {
    const unit = schema.unit ? ` of ${schema.unit}` : ''
    return `a whole number${unit} between ${schema.minimum} and ${schema.maximum}`
  }
  return `a ${String(schema.type)}`
}

/** The name most similar to `text`, or undefined if none is similar. */
export function nearestName(text: string, names: readonly string[]): string | undefined {
  const near = names
    .map(name => ({ name, edits: editDistance(text.toLowerCase(), name) }))
    .sort((a, b) => a.edits - b.edits)[0]
  return near && near.edits <= Math.max(2, text.length >> 2) ? near.name : undefined
}

/** Levenshtein distance. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, n) => n)
  for (let i = 0; i < a.length; i++) {
    const next = [i + 1]
    for (let j = 0; j < b.length; j++) {
      const change = (row[j] ?? 0) + (a[i] === b[j] ? 0 : 1)
      next.push(Math.min(change, (row[j + 1] ?? 0) + 1, (next[j] ?? 0) + 1))
    }
    row = next
  }
  return row[b.length] ?? 0
}

/** Rules that involve more than one key. */
function crossChecks(config: Config): string[] {
  const { tracker_config: tracker, http_server: servers } = config
  const lines: string[] = []
  const longest = (tracker.request_interval * (100 + tracker.request_interval_jitter)) / 100
  if (tracker.request_interval_minimum > tracker.request_interval) {
    lines.push(
      wrong(
        'tracker_config.request_interval_minimum',
        `must be at most request_interval, ${tracker.request_interval} seconds`,
        `${tracker.request_interval_minimum}`,
      ),
    )
  }
  if (tracker.peers_timeout <= longest) {
    lines.push(
      wrong(
        'tracker_config.peers_timeout',
        `must be longer than request_interval plus its jitter, ${longest} seconds`,
        `${tracker.peers_timeout}`,
      ),
    )
  }
  if (tracker.numwant_default > tracker.numwant_maximum) {
    lines.push(
      wrong(
        'tracker_config.numwant_default',
        `must be at most numwant_maximum, ${tracker.numwant_maximum}`,
        `${tracker.numwant_default}`,
      ),
    )
  }
  const ambiguous = tracker.scrape_paths.find(path => tracker.announce_paths.includes(path))
  if (ambiguous !== undefined) {
    const rule = 'must differ from the paths in announce_paths'
    lines.push(wrong('tracker_config.scrape_paths', rule, JSON.stringify(ambiguous)))
  }
  lines.push(...nodesChecks(config).map(([name, rule, found]) => wrong(name, rule, found)))
  lines.push(
    ...sharedAddresses('http_server', servers),
    ...sharedAddresses('api_server', config.api_server),
    ...sharedAddresses('udp_server', config.udp_server),
    ...serverChecks(config),
  )
  const { engine, path } = config.database
  if (parseDatabasePath(path)?.engine !== engine) {
    lines.push(
      wrong(
        'database.path',
        `must be ${DATABASE_PATH_FORMS[engine]} with engine = "${engine}"`,
        JSON.stringify(maskDatabasePath(path)),
      ),
    )
  }
  if (![...servers, ...config.udp_server].some(({ enabled }) => enabled)) {
    lines.push('http_server, udp_server: at least one server must be enabled')
  }
  return lines
}

/** Rules between the keys of one server. */
function serverChecks(config: Config): string[] {
  const lines: string[] = []
  for (const section of ['http_server', 'api_server'] as const) {
    config[section].forEach((server, n) => {
      const proxyProtocol = `${section}[${n}].proxy_protocol`
      if (server.proxy_protocol && server.trusted_proxies.length === 0)
        lines.push(needsProxies(proxyProtocol))
      if (server.proxy_protocol && server.ssl)
        lines.push(
          wrong(proxyProtocol, 'must be false with ssl; terminate TLS at the proxy', 'true'),
        )
      for (const key of ['ssl_key', 'ssl_cert'] as const) {
        if (server.ssl && server[key] === '')
          lines.push(wrong(`${section}[${n}].${key}`, 'must be the path of a PEM file', '""'))
      }
    })
  }
  config.udp_server.forEach((server, n) => {
    if (server.simple_proxy_protocol && server.trusted_proxies.length === 0)
      lines.push(needsProxies(`udp_server[${n}].simple_proxy_protocol`))
  })
  return lines
}

function needsProxies(name: string): string {
  return wrong(
    name,
    'must be false without trusted_proxies; otherwise any client could claim any address',
    'true',
  )
}

/** A line for each enabled server whose address an earlier server of the section already uses. */
function sharedAddresses(
  section: string,
  servers: readonly { readonly enabled: boolean; readonly bind_address: string }[],
): string[] {
  const lines: string[] = []
  const seen = new Map<string, number>()
  servers.forEach(({ enabled, bind_address: address }, n) => {
    if (!enabled) return
    const before = seen.get(address)
    if (before !== undefined && !address.endsWith(':0')) {
      lines.push(
        wrong(
          `${section}[${n}].bind_address`,
          `must differ from ${section}[${before}].bind_address`,
          `"${address}"`,
        ),
      )
    }
    seen.set(address, n)
  })
  return lines
}

export function deepFreeze<T extends object>(value: T): T {
  for (const part of Object.values(value))
    if (typeof part === 'object' && part !== null) deepFreeze(part)
  return Object.freeze(value)
}
