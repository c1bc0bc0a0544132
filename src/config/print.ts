import { maskCacheAddress } from './cache-address.ts'
import type { Config } from './config.ts'
import { maskDatabasePath } from './database-path.ts'
import type { KeySchema, SectionSchema } from './key-schema.ts'
import { SECTIONS } from './schema.ts'
import { allowedText } from './validate.ts'

const COMMENT_COLUMNS = 96
const PAGE_COLUMNS = 100

/** The defaults as a commented config.toml. */
export function printDefaults(): string {
  const sections = Object.entries(SECTIONS).map(([name, section]) => {
    const [first = {}, ...others] = section.list ? (section.defaults ?? []) : [{}]
    const tables = [printTable(name, section, first, true), ...others.map(shortTable(name))]
    return tables.join('\n')
  })
  const head = comment(
    'muster: every key with its default. Remove the keys that you do not change.',
  )
  return `${head}\n${sections.join('\n')}`
}

/** Prints a further default table of a list: only the keys that it sets. */
function shortTable(name: string): (table: Readonly<Record<string, unknown>>) => string {
  return table => {
    const lines = Object.entries(table).map(([key, value]) => `${key} = ${JSON.stringify(value)}\n`)
    return `${comment('A second address. Keys that this table leaves out have their defaults.')}[[${name}]]\n${lines.join('')}`
  }
}

/** The configuration in effect, as TOML that reads back to the same values. Secrets are masked. */
export function printConfig(config: Config): string {
  const sections = Object.entries(SECTIONS).map(([name, section]) => {
    const value = name
      .split('.')
      .reduce<unknown>((table, part) => (table as Record<string, unknown>)[part], config)
    const tables = (section.list ? value : [value]) as Record<string, unknown>[]
    return tables.map(table => printTable(name, section, table, false)).join('\n')
  })
  return sections.join('\n')
}

function printTable(
  name: string,
  section: SectionSchema,
  table: Readonly<Record<string, unknown>>,
  commented: boolean,
): string {
  const lines = Object.entries(section.keys).map(([key, schema]) => {
    const value = `${key} = ${printValue(table[key] ?? schema.default, schema)}\n`
    return commented ? `\n${comment(describe(schema))}${value}` : value
  })
  const head = section.list ? `[[${name}]]` : `[${name}]`
  return `${commented ? comment(section.description) : ''}${head}\n${lines.join('')}`
}

function describe(schema: KeySchema): string {
  if (schema.type === 'boolean') return schema.description
  return `${schema.description} Allowed: ${allowedText(schema)}.`
}

function printValue(value: unknown, schema: KeySchema): string {
  if (schema.secret && value !== '' && JSON.stringify(value) !== '{}') return '"********"'
  if (schema.format === 'cache-address') return JSON.stringify(maskCacheAddress(String(value)))
  if (schema.format === 'database-path') return JSON.stringify(maskDatabasePath(String(value)))
  if (schema.format === 'size' && typeof value === 'number') return `"${value / 2 ** 20} MiB"`
  if (Array.isArray(value)) return `[${value.map(part => JSON.stringify(part)).join(', ')}]`
  if (typeof value === 'object' && value !== null) return inlineTable(value)
  return JSON.stringify(value)
}

function inlineTable(table: object): string {
  const pairs = Object.entries(table).map(([key, value]) => `${key} = ${JSON.stringify(value)}`)
  return pairs.length === 0 ? '{}' : `{ ${pairs.join(', ')} }`
}

function comment(text: string): string {
  return linesOf(text, COMMENT_COLUMNS)
    .map(line => `# ${line}\n`)
    .join('')
}

/** Breaks a text into lines of at most `columns` characters. */
function linesOf(text: string, columns: number): string[] {
  const lines: string[] = []
  let line = ''
  for (const word of text.split(' ')) {
    if (line.length + word.length + 1 > columns) {
      lines.push(line)
      line = ''
    }
    line += line ? ` ${word}` : word
  }
  return [...lines, line]
}

/** The keys that a reload does not apply. */
function restartText({ restart = [] }: SectionSchema): string {
  if (restart === 'all') return 'Changes need a restart.'
  if (restart.length === 0) return 'A reload applies changes.'
  const keys = restart.map(key => `\`${key}\``).join(', ')
  return `A reload applies changes, except to ${keys}, which need a restart.`
}

/** The reference in Markdown. */
export function printReference(): string {
  const parts = Object.entries(SECTIONS).map(([name, section]) => {
    const rows = Object.entries(section.keys).map(([key, schema]) => {
      const variable = `${section.environment}${section.list ? '0_' : ''}${key.toUpperCase()}`
      const value = `\`${JSON.stringify(schema.default)}\``
      return `| \`${key}\` | ${value} | ${describe(schema)} | \`${variable}\` |`
    })
    const head = section.list ? `[[${name}]]` : `[${name}]`
    return `## ${head}\n\n${linesOf(`${section.description} ${restartText(section)}`, PAGE_COLUMNS).join('\n')}\n\n| key | default | meaning | environment |\n|---|---|---|---|\n${rows.join('\n')}\n`
  })
  return `# Configuration\n\nPrinted by \`muster --print-reference\`.\n\n${parts.join('\n')}`
}
