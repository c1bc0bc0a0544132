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

/** Marks a text that stands for an integer. JSON without this escape cannot contain it. */
const MARK = '\u0000'

/**
 * Parses JSON as JSON.parse does, except that an integer which a JavaScript number would round is a
 * bigint. Takes linear time. Throws a SyntaxError.
 */
export function parseExactJson(text: string): unknown {
  const marked = /\d{16}/.test(text) && !text.includes('\\u0000') ? markLargeIntegers(text) : text
  if (marked === text) return JSON.parse(text)
  return JSON.parse(marked, (_, field: unknown) =>
    typeof field === 'string' && field.startsWith(MARK) ? BigInt(field.slice(1)) : field,
  )
}

/** Replaces integers outside of texts that exceed 2^53 by marked texts. */
function markLargeIntegers(text: string): string {
  const parts: string[] = []
  for (let at = 0; at < text.length; ) {
    const quote = text.indexOf('"', at)
    const begin = quote === -1 ? text.length : quote
    parts.push(text.slice(at, begin).replaceAll(/[\d.eE+-]+/g, markedNumber))
    at = quote === -1 ? begin : endOfText(text, quote)
    parts.push(text.slice(begin, at))
  }
  return parts.join('')
}

function markedNumber(number: string): string {
  const isLarge = /^-?[1-9]\d{15,}$/.test(number) && !Number.isSafeInteger(Number(number))
  return isLarge ? `"\\u0000${number}"` : number
}

/** Returns where the JSON text that begins with the quote at `quote` ends. */
function endOfText(text: string, quote: number): number {
  for (let end = quote + 1; ; end++) {
    end = text.indexOf('"', end)
    if (end === -1) return text.length
    let escapes = end
    while (text[escapes - 1] === '\\') escapes--
    if ((end - escapes) % 2 === 0) return end + 1
  }
}
