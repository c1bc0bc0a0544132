import { Ajv, type ErrorObject } from 'ajv'
import ipaddr from 'ipaddr.js'
import type { OperatorError } from '../errors.ts'
import { configError } from '../errors.ts'
import type { Config } from './config.ts'
import { DATABASE_PATH_FORMS, maskPassword, parseDatabasePath } from './database-path.ts'
import type { KeySchema } from './key-schema.ts'
import { jsonSchema, sectionAt, sectionNamesAt } from './schema.ts'

const SIZE = /^(\d+)\s*(KiB|MiB|GiB)$/
const UNIT_BYTES: Record<string, number> = { KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30 }
const MEMORY_BYTES_MIN = 64 * 2 ** 20
const MEMORY_BYTES_MAX = 64 * 2 ** 30

/** Bytes that a text as "512 MiB" stands for; NaN for anything else. */
export function parseSize(text: string): number {
  const [, digits, unit = ''] = SIZE.exec(text) ?? []
  return Number(digits) * (UNIT_BYTES[unit] ?? Number.NaN)
}

/** Host and port of `host:port`, an IPv6 host in brackets; undefined for anything else. */
export function parseBindAddress(text: string): { host: string; port: number } | undefined {
  const [, ipv6, ipv4, digits] = /^(?:\[([0-9a-fA-F:.]+)\]|([0-9.]+)):(\d{1,5})$/.exec(text) ?? []
  const host = ipv6 ?? ipv4 ?? ''
  const good = ipv6 ? ipaddr.IPv6.isValid(ipv6) : ipaddr.IPv4.isValidFourPartDecimal(host)
  return good && Number(digits) <= 0xffff ? { host, port: Number(digits) } : undefined
}

/** As Torrust-Actix has it. */
const API_KEY_CHARACTERS_MIN = 32

const ajv = new Ajv({ allErrors: true, strict: true, useDefaults: true, allowUnionTypes: true })
ajv.addFormat('bind-address', text => parseBindAddress(text) !== undefined)
ajv.addFormat('cidr', text => ipaddr.isValid(text) || ipaddr.isValidCIDR(text))
ajv.addFormat('peer-id-prefix', /^[!-~]{1,20}$/)
ajv.addFormat('header-name', /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/)
ajv.addFormat(
  'size',
  text => parseSize(text) >= MEMORY_BYTES_MIN && parseSize(text) <= MEMORY_BYTES_MAX,
)
ajv.addFormat('api-key', text => text === '' || text.length >= API_KEY_CHARACTERS_MIN)
ajv.addFormat('database-path', text => parseDatabasePath(text) !== undefined)
const check = ajv.compile(jsonSchema())

/**
 * Fills in defaults, checks everything and returns the frozen configuration. Throws an OperatorError with a line for each fault.
 * `raw` is changed on the way.
 */
export function validateConfig(raw: Record<string, unknown>): Config {
  if (!check(raw)) throw faults(check.errors ?? [], raw)
  const config = raw as unknown as Config
  const lines = crossChecks(config)
  if (lines.length > 0) throw configError(lines)
  const memory = parseSize((raw as { engine: { memory: string } }).engine.memory)
  return deepFreeze({ ...config, engine: { ...config.engine, memory } })
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
  const found = printed(valueAt(raw, [...path, key]))
  const what = `${keyName([...path, key])}: unknown ${section ? 'key' : 'section'}, with ${found}`
  return nearest ? `${what}; did you mean ${nearest}?` : `${what}; known are ${known.join(', ')}`
}

function wrongValue(path: readonly string[], error: ErrorObject, raw: unknown): string {
  const { section, rest } = sectionAt(path.filter(part => !isIndex(part))) ?? {}
  const key = rest?.[0]
  const schema = key ? section?.keys[key] : undefined
  const whole = key ? path.slice(0, path.indexOf(key) + 1) : path
  const found = schema?.secret ? '"********"' : printed(valueAt(raw, whole))
  return `${keyName(whole)}: ${found} is not allowed; allowed is ${schema ? allowedText(schema) : `${error.message}`}`
}

function isIndex(part: string): boolean {
  return /^\d+$/.test(part)
}

/** A value that was found, as JSON without a password. */
function printed(value: unknown): string {
  return maskPassword(JSON.stringify(value))
}

function valueAt(raw: unknown, path: readonly string[]): unknown {
  return path.reduce<unknown>(
    (value, part) => (value as Record<string, unknown> | undefined)?.[part],
    raw,
  )
}

/** What may stand at a key, in words. */
export function allowedText(schema: KeySchema): string {
  if (schema.allowed) return schema.allowed
  if (schema.enum) return schema.enum.map(value => `"${value}"`).join(', ')
  if (schema.type === 'boolean') return 'true or false'
  if (schema.minimum !== undefined)
    return `a whole number from ${schema.minimum} to ${schema.maximum}`
  return `a ${String(schema.type)}`
}

/** The name that `text` was most likely meant to be, if any is near. */
export function nearestName(text: string, names: readonly string[]): string | undefined {
  const near = names
    .map(name => ({ name, edits: editDistance(text.toLowerCase(), name) }))
    .sort((a, b) => a.edits - b.edits)[0]
  return near && near.edits <= Math.max(2, text.length >> 2) ? near.name : undefined
}

/** Levenshtein's distance. */
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

/** What no single key's schema can say. */
function crossChecks(config: Config): string[] {
  const { tracker_config: tracker, http_server: servers } = config
  const lines: string[] = []
  const longest = (tracker.request_interval * (100 + tracker.request_interval_jitter)) / 100
  if (tracker.request_interval_minimum > tracker.request_interval) {
    lines.push(
      `tracker_config.request_interval_minimum: ${tracker.request_interval_minimum} is not allowed; allowed is at most request_interval, ${tracker.request_interval}`,
    )
  }
  if (tracker.peers_timeout <= longest) {
    lines.push(
      `tracker_config.peers_timeout: ${tracker.peers_timeout} is not allowed; allowed is more than request_interval with its jitter, ${longest}`,
    )
  }
  if (tracker.numwant_default > tracker.numwant_maximum) {
    lines.push(
      `tracker_config.numwant_default: ${tracker.numwant_default} is not allowed; allowed is at most numwant_maximum, ${tracker.numwant_maximum}`,
    )
  }
  lines.push(
    ...sharedAddresses('http_server', servers),
    ...sharedAddresses('api_server', config.api_server),
    ...sharedAddresses('udp_server', config.udp_server),
    ...serverChecks(config),
  )
  const { engine, path } = config.database
  if (parseDatabasePath(path)?.engine !== engine) {
    lines.push(
      `database.path: ${printed(path)} is not allowed; allowed with engine = "${engine}" is ${DATABASE_PATH_FORMS[engine]}`,
    )
  }
  if (![...servers, ...config.udp_server].some(({ enabled }) => enabled)) {
    lines.push('http_server, udp_server: no server is enabled; allowed is at least one')
  }
  return lines
}

/** What the keys of one server ask of each other. */
function serverChecks(config: Config): string[] {
  const lines: string[] = []
  for (const section of ['http_server', 'api_server'] as const) {
    config[section].forEach((server, n) => {
      const proxyProtocol = `${section}[${n}].proxy_protocol`
      if (server.proxy_protocol && server.trusted_proxies.length === 0)
        lines.push(needsProxies(proxyProtocol))
      if (server.proxy_protocol && server.ssl)
        lines.push(`${proxyProtocol}: true is not allowed with ssl; let the proxy speak TLS`)
      for (const key of ['ssl_key', 'ssl_cert'] as const) {
        if (server.ssl && server[key] === '')
          lines.push(`${section}[${n}].${key}: "" is not allowed with ssl; ${PEM_FILE}`)
      }
    })
  }
  config.udp_server.forEach((server, n) => {
    if (server.simple_proxy_protocol && server.trusted_proxies.length === 0)
      lines.push(needsProxies(`udp_server[${n}].simple_proxy_protocol`))
  })
  return lines
}

const PEM_FILE = 'allowed is the path of a PEM file'

function needsProxies(name: string): string {
  return `${name}: true is not allowed without trusted_proxies; anyone could enter any address`
}

/** A line for each enabled server of a section that has the address of one before it. */
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
        `${section}[${n}].bind_address: "${address}" is not allowed; ${section}[${before}] has it already`,
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
