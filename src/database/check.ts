import type { ColumnKind, ColumnOutline } from './columns.ts'
import type { Dialect } from './dialect.ts'
import type { TableOutline } from './shapes.ts'

const WORDS: Readonly<Record<ColumnKind, string>> = {
  binary: '20 bytes',
  hex: '40 hexadecimal digits',
  key: 'a key of up to 64 characters',
  uuid: 'a UUID as text',
  serial: 'a whole number',
  id: 'a whole number',
  number: 'a whole number',
  bytes: 'a whole number of 64 bits',
  flag: 'a whole number',
}

/** Returns a line for each reason why muster cannot use a table; none if it fits. */
export async function faultsOfTable(dialect: Dialect, shape: TableOutline): Promise<string[]> {
  const { section, table, primary, others } = shape
  return columnFaults(dialect, section, table, [primary, ...others], primary.name)
}

/**
 * Does the same for a table whose columns are given; `unique` is a column that identifies a row by
 * itself.
 */
export async function columnFaults(
  dialect: Dialect,
  section: string,
  table: string,
  columns: readonly ColumnOutline[],
  unique?: string,
): Promise<string[]> {
  const found = await dialect.columns(table)
  const where = `database_structure.${section}`
  if (!found) return [`${where}.table_name: ${dialect.address} has no table ${table}`]
  const lines: string[] = []
  for (const { name, kind, key } of columns) {
    const column = found.find(other => other.name === name)
    const expected = `${WORDS[kind]}, as ${dialect.type(kind)}`
    if (!column) {
      lines.push(
        `${where}.${key}: table ${table} has no column ${name}; expected one for ${expected}`,
      )
    } else if (!dialect.fits(kind, column.type)) {
      lines.push(
        `${where}.${key}: table ${table} has column ${name} as ${column.type || 'no type'}; expected ${expected}${hint(kind)}`,
      )
    } else if (name === unique && !column.unique) {
      lines.push(
        `${where}.${key}: column ${name} of table ${table} is not unique; expected the primary key`,
      )
    }
  }
  return lines
}

/** The configured storage of hashes may be wrong, rather than the table. */
function hint(kind: ColumnKind): string {
  if (kind === 'binary') return ' (bin_type_* = true)'
  if (kind === 'key') return ' (tracker_config.key_format = "text")'
  return kind === 'hex' ? ' (bin_type_* = false)' : ''
}
