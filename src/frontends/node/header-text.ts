const texts = new WeakMap<ArrayBuffer, string>()
const lines = new WeakMap<ArrayBuffer, { readonly value: ArrayBuffer; readonly line: string }>()

/**
 * The text of a header name or value. A value given as bytes is a constant, so its text is cached.
 */
export function headerText(value: string | ArrayBuffer): string {
  if (typeof value === 'string') return value
  let text = texts.get(value)
  if (text === undefined) {
    text = Buffer.from(value).toString('latin1')
    texts.set(value, text)
  }
  return text
}

/**
 * The line of a header. Throws a TypeError when a character is not allowed in it (RFC 9110 §5.5).
 */
export function headerLine(key: string | ArrayBuffer, value: string | ArrayBuffer): string {
  if (typeof key === 'string' || typeof value === 'string') return checkedLine(key, value)
  const known = lines.get(key)
  if (known?.value === value) return known.line
  const line = checkedLine(key, value)
  lines.set(key, { value, line })
  return line
}

function checkedLine(key: string | ArrayBuffer, value: string | ArrayBuffer): string {
  const line = `${headerText(key)}: ${headerText(value)}`
  if (/[^\t\x20-\x7e\x80-\xff]/.test(line)) {
    throw new TypeError(`header ${headerText(key)} has a character that is not allowed`)
  }
  return `${line}\r\n`
}
