/**
 * Returns JSON text in which a bigint is an integer with all its digits. A JavaScript number would
 * round totals above 2^53.
 */
export function exactJson(value: unknown): string {
  const text = JSON.stringify(value, (_, field: unknown) =>
    typeof field === 'bigint' ? `\u0000${field}` : field,
  )
  return text.replaceAll(/"\\u0000(\d+)"/g, '$1')
}
