import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import t from 'tap'
import { circles, type Graph } from './fixtures/import-graph.ts'
import { repositoryRoot } from './fixtures/repository-root.ts'

const root = repositoryRoot()

function filesBelow(folder: string, ending: string): string[] {
  return readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter(name => name.endsWith(ending))
    .map(name => join(folder, name))
    .sort()
}

function text(file: string): string {
  return readFileSync(join(root, file), 'utf8')
}

const sources = filesBelow('src', '.ts')

/**
 * Which modules a module may import; the longest module name that is a prefix of a file applies.
 * `private` lists modules that only files below their parent folder may import.
 */
const { private: PRIVATE = [], ...ALLOWED } = JSON.parse(text('src/borders.json')) as Record<
  string,
  string[]
>
const BORDERS = Object.entries(ALLOWED).sort(([a], [b]) => b.length - a.length)

const isWithin = (file: string, module: string) =>
  file === `src/${module}` || file.startsWith(`src/${module}/`)

/** The files that each source file imports, types included. */
const imports: Graph = new Map(
  sources.map(file => [
    file,
    [...text(file).matchAll(/(?:from|import\(?) ?'(\.{1,2}\/[^']+)'/g)].map(([, target = '']) =>
      join(dirname(file), target),
    ),
  ]),
)

t.test('circles of a graph', async t => {
  const graph = new Map([
    ['a', ['b', 'd']],
    ['b', ['c']],
    ['c', ['b', 'd']],
    ['d', ['e']],
    ['e', []],
    ['f', ['g']],
    ['g', ['h', 'a']],
    ['h', ['f']],
    ['i', ['i']],
  ])
  t.strictSame(circles(graph), [['b', 'c'], ['f', 'g', 'h'], ['i']])
})

t.test('no circle of imports between files', async t => {
  t.strictSame(circles(imports), [])
  const count = [...imports.values()].flat().length
  t.ok(count > 1000, `${count} imports`)
})

t.test('no folder imports one above it', async t => {
  // A file directly in src is a module of its own.
  const folderOf = (file: string) => (dirname(file) === 'src' ? file : dirname(file))
  const folders = new Map<string, string[]>()
  for (const [file, targets] of imports) {
    const folder = folderOf(file)
    const others = targets.map(folderOf).filter(other => other !== folder)
    folders.set(folder, [...(folders.get(folder) ?? []), ...others])
  }
  t.strictSame(circles(folders), [])
})

t.test('every module imports only what src/borders.json allows', async t => {
  for (const [file, targets] of imports) {
    const border = BORDERS.find(([module]) => isWithin(file, module))
    for (const imported of targets) {
      const isAllowed = border?.[1].some(allowed => isWithin(imported, allowed)) ?? true
      const isForeign = PRIVATE.some(
        module => isWithin(imported, module) && !isWithin(file, dirname(module)),
      )
      if (!isAllowed || isForeign) t.fail(`${file} imports ${imported}`)
    }
  }
})

t.test('no unfinished or disabled code remains', async t => {
  const banned: [pattern: RegExp, why: string][] = [
    [
      new RegExp(
        `\\b(${['TO', 'FIX'].map(word => `${word}${word === 'TO' ? 'DO' : 'ME'}`).join('|')}|XXX)\\b`,
      ),
      'unfinished',
    ],
    [/\bt\.only\(|\.only\(/, 'a test that switches the others off'],
    [/@ts-(ignore|nocheck)/, 'a type error that is hidden'],
  ]
  for (const file of [...sources, ...filesBelow('test', '.ts'), ...filesBelow('bench', '.ts')]) {
    if (file === 'test/tidy.test.ts') continue
    for (const [pattern, why] of banned) if (pattern.test(text(file))) t.fail(`${file}: ${why}`)
  }
})

t.test('the docs agree with the program', async t => {
  const scripts = Object.keys((JSON.parse(text('package.json')) as { scripts: object }).scripts)
  for (const file of ['README.md', 'CONTRIBUTING.md', ...filesBelow('docs', '.md')]) {
    for (const [, script] of text(file).matchAll(/npm run ([a-z:]+)/g)) {
      t.ok(scripts.includes(script ?? ''), `${file}: npm run ${script}`)
    }
    for (const [, link] of text(file).matchAll(/\]\((?!https?:|#)([^)#]+)/g)) {
      t.ok(existsSync(join(root, dirname(file), link ?? '')), `${file}: ${link}`)
    }
  }
  t.match(text('CHANGELOG.md'), /^## \[Unreleased\]$/m)
})
