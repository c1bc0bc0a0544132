import { existsSync, readdirSync, readFileSync } from 'node:fs'
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

t.test('messages quoted in troubleshooting.md exist in the source', async t => {
  const program = sources()
  const text = readFileSync(join(root, 'docs/troubleshooting.md'), 'utf8')
  const tables = text.matchAll(/^\| (?:message|clients show) \|.*\n.*\n((?:\|.*\n)+)/gm)
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

/** README.md, CONTRIBUTING.md, CHANGELOG.md and all pages of docs/. */
function pages(): string[] {
  const docs = readdirSync(join(root, 'docs'), { recursive: true, encoding: 'utf8' })
  return [
    ...['README.md', 'CONTRIBUTING.md', 'CHANGELOG.md'],
    ...docs.filter(name => name.endsWith('.md')).map(name => `docs/${name}`),
  ]
}

t.test('source files that the docs name exist, and contain the names beside them', async t => {
  for (const page of pages()) {
    const text = readFileSync(join(root, page), 'utf8')
    for (const [, path = ''] of text.matchAll(/`((?:src|test)\/[\w./-]+)`/g))
      t.ok(existsSync(join(root, path)), `${page}: ${path}`)
    for (const [, name = '', path = ''] of text.matchAll(/`(\w+)` in `(src\/[\w./-]+)`/g))
      t.match(readFileSync(join(root, path), 'utf8'), name, `${page}: ${name} in ${path}`)
  }
})

t.test('headings that the docs link to exist', async t => {
  for (const page of pages()) {
    const text = readFileSync(join(root, page), 'utf8')
    for (const [, file = '', anchor = ''] of text.matchAll(/\]\(([\w./-]*)#([^)]+)\)/g)) {
      const target = file ? join(root, page, '..', file) : join(root, page)
      const headings = [...readFileSync(target, 'utf8').matchAll(/^#+ (.+)$/gm)]
      const anchors = headings.map(([, heading = '']) => anchorOf(heading))
      t.ok(anchors.includes(anchor), `${page}: ${file}#${anchor}`)
    }
  }
})

/** The anchor that GitHub makes of a heading. */
function anchorOf(heading: string): string {
  return heading
    .toLowerCase()
    .replace(/[^\p{L}\p{N}\s_-]/gu, '')
    .replaceAll(' ', '-')
}
