import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import ts from 'typescript'
import { MODULES_PAGE, withModulesTable } from './fixtures/modules-table.ts'
import { repositoryRoot } from './fixtures/repository-root.ts'

/** Bounds of sizes; see CONTRIBUTING.md. */
const FILE_LINES_MAX = 400
const FUNCTION_LINES_MAX = 70
const PARAMETERS_MAX = 5
const COMMENT_COLUMNS_MAX = 100

/** Files that are longer for now. */
const LONG_FILES = new Set(['src/database/ledger.ts', 'src/engine/inspect.ts'])

/** Functions that are longer for now, and `parseAnnounce`, which is one flat switch. */
const LONG_FUNCTIONS = new Set([
  'createAdministration',
  'createChart',
  'createOverview',
  'createUsers',
  'forkWorker',
  'limitMysql',
  'parseAnnounce',
  'startFrontends',
  'startSnapshots',
  'startSupervisor',
])

/** Functions of the innermost loops, which take numbers instead of an object for each call. */
const MANY_PARAMETERS = new Set([
  'announce',
  'answer',
  'answerFrame',
  'formatAnnounce',
  'hashWords',
  'isConnectionId',
  'page',
  'proxiedClientAt',
  'recallKeys',
  'respond',
  'scrape',
  'surveyAddress',
  'writeConnectionId',
  'writeOtherFamily',
])

/** Forms that the plain English of this project does without; CONTRIBUTING.md has the rules. */
const BANNED = [
  /\b(?:nobody|whoever|such that are|not any more|passed over|brought back|asker|who asks)\b/i,
  /(?<!\bthere )\bis no (?!longer|more\b)[a-z]/i,
  /\bhas not (?:an?|any|the|its|one|got)\b/i,
]

/** Words that do not begin a sentence: a noun does. */
const SUBJECTLESS = /(?:^\W*|[.!?] )(?:Who|What|Those|Its|One that)\b(?![^.]*\?)/

const isBanned = (line: string) => BANNED.some(form => form.test(line))

const root = repositoryRoot()

const sources = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' })
  .filter(name => name.endsWith('.ts'))
  .sort()
  .map(name => {
    const text = readFileSync(join(root, 'src', name), 'utf8')
    return {
      name: `src/${name}`,
      lines: text.trimEnd().split('\n'),
      tree: ts.createSourceFile(name, text, ts.ScriptTarget.ES2023, true),
    }
  })

type Measured = { readonly name: string; readonly lines: number; readonly parameters: number }

function functionsOf(tree: ts.SourceFile): Measured[] {
  const found: Measured[] = []
  const visit = (node: ts.Node): void => {
    if (ts.isFunctionLike(node) && 'body' in node && node.body) {
      const line = (position: number) => tree.getLineAndCharacterOfPosition(position).line
      found.push({
        name: nameOf(node),
        lines: line(node.end) - line(node.getStart()) + 1,
        parameters: node.parameters.length,
      })
    }
    ts.forEachChild(node, visit)
  }
  visit(tree)
  return found
}

function nameOf(node: ts.SignatureDeclaration): string {
  const named = node.name ?? (ts.isVariableDeclaration(node.parent) ? node.parent.name : undefined)
  return named?.getText() ?? 'a function without a name'
}

const isComment = (line: string) => /^\s*(\/\/|\/?\*)/.test(line)

t.test('files and functions are short, and take few parameters', async t => {
  for (const { lines, name, tree } of sources) {
    if (lines.length > FILE_LINES_MAX && !LONG_FILES.has(name)) {
      t.fail(`${name} has ${lines.length} lines`)
    }
    for (const { name: called, lines: length, parameters } of functionsOf(tree)) {
      if (length > FUNCTION_LINES_MAX && !LONG_FUNCTIONS.has(called)) {
        t.fail(`${name}: ${called} has ${length} lines`)
      }
      if (parameters > PARAMETERS_MAX && !MANY_PARAMETERS.has(called)) {
        t.fail(`${name}: ${called} has ${parameters} parameters`)
      }
    }
  }
  t.ok(sources.length > 100, `${sources.length} files measured`)
})

t.test('comments fit the width, and messages are plain English', async t => {
  const long = sources.flatMap(({ lines, name }) =>
    lines
      .filter(line => isComment(line) && line.length > COMMENT_COLUMNS_MAX)
      .map(line => `${name}: ${line.trim()}`),
  )
  const banned = sources.flatMap(({ lines, name }) =>
    lines
      .filter(line =>
        isComment(line)
          ? isBanned(line) || SUBJECTLESS.test(line)
          : /['"`]/.test(line) && isBanned(line),
      )
      .map(line => `${name}: ${line.trim()}`),
  )
  t.strictSame(long, [])
  t.strictSame(banned, [])
})

t.test('the table of modules in the docs is that of src/borders.json', async t => {
  const page = readFileSync(MODULES_PAGE, 'utf8')
  t.equal(page, withModulesTable(page), 'run npm run docs')
})
