import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { repositoryRoot } from './fixtures/repository-root.ts'

const root = repositoryRoot()

/** All sources, with `…` for the expressions of template literals. */
function sources(): string {
  return readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' })
    .filter(name => name.endsWith('.ts'))
    .map(name => readFileSync(join(root, 'src', name), 'utf8'))
    .join('\n')
    .replace(/\$\{(?:[^{}]|\{[^{}]*\})*\}/g, '…')
    .replaceAll("\\'", "'")
}

t.test('what troubleshooting quotes is what the program says', async t => {
  const program = sources()
  const text = readFileSync(join(root, 'docs/troubleshooting.md'), 'utf8')
  const tables = text.matchAll(/^\| (?:it says|clients show) \|.*\n.*\n((?:\|.*\n)+)/gm)
  let quotes = 0
  for (const [, rows = ''] of tables) {
    for (const row of rows.trimEnd().split('\n')) {
      const cell = row.split('|')[1] ?? ''
      for (const [, quote = ''] of cell.matchAll(/`([^`]+)`/g)) {
        quotes++
        for (const part of quote.split('…').map(part => part.trim()))
          t.ok(program.includes(part), `${quote}: ${part}`)
      }
    }
  }
  t.ok(quotes > 30, `${quotes} quotes`)
})
