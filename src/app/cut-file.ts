/**
 * Whether a configuration file has only the beginning of its former text: it may be empty, half
 * written, or cut by a full disk. The defaults could then remove a restriction. A file without its
 * last section is valid: an operator may delete a section to get its defaults.
 */
export function isCut(before: string, now: string): boolean {
  const start = withoutComments(now)
  const whole = withoutComments(before)
  if (start === '') return whole !== ''
  if (start === whole || !whole.startsWith(start)) return false
  const [, ...sections] = `\n${whole.slice(start.length)}`.split(/\n(?=\[)/)
  const endsWithSection = whole.slice(start.length).startsWith('\n[')
  return !endsWithSection || new Set(sections.map(nameOf)).size > 1
}

/** The lines with content. */
function withoutComments(text: string): string {
  return text
    .split(/\r?\n/)
    .map(line => line.trim())
    .filter(line => line !== '' && !line.startsWith('#'))
    .join('\n')
}

function nameOf(section: string): string {
  return section.split('\n', 1)[0] ?? ''
}
