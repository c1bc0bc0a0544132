import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import ts from 'typescript'
import { MODULES_PAGE, withModulesTable } from './fixtures/modules-table.ts'
import {
  faultyComments,
  faultyNames,
  faultyProse,
  isBanned,
  isComment,
  isSubjectlessMessage,
} from './fixtures/plain-english.ts'
import { repositoryRoot } from './fixtures/repository-root.ts'

/** Bounds of sizes; see CONTRIBUTING.md. */
const FILE_LINES_MAX = 400
const FUNCTION_LINES_MAX = 70
const PARAMETERS_MAX = 5

/** Flat switches, which may be longer. */
const LONG_FUNCTIONS = new Set(['parseAnnounce'])

/** Functions of the innermost loops, which take numbers instead of an object for each call. */
const MANY_PARAMETERS = new Set(['answer', 'hashWords', 'surveyAddress'])

/** Names that the program had once; CONTRIBUTING.md has the terms of the field. */
const HOUSE_NAMES =
  /\b(?:makeRoom|giveRoom|sayTo\w+|asker|heard\w*|said|told|gone|allGone|mend\w*)\b/

const root = repositoryRoot()

function filesBelow(folder: string, ending = '.ts'): string[] {
  return readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter(name => name.endsWith(ending))
    .sort()
    .map(name => `${folder}/${name}`)
}

const sources = filesBelow('src').map(name => {
  const text = readFileSync(join(root, name), 'utf8')
  return {
    name,
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

t.test('files and functions are short, and take few parameters', async t => {
  for (const { lines, name, tree } of sources) {
    if (lines.length > FILE_LINES_MAX) t.fail(`${name} has ${lines.length} lines`)
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

t.test('comments fit the width, and comments and messages are plain English', async t => {
  for (const { lines, name } of sources) {
    const messages = lines
      .filter(line => !isComment(line) && /['"`]/.test(line))
      .filter(line => isBanned(line) || isSubjectlessMessage(line))
    t.strictSame([...faultyComments(lines.join('\n')), ...messages], [], name)
  }
})

t.test('names in the source are the terms of the field', async t => {
  for (const { lines, name } of sources) {
    t.strictSame(
      lines.filter(line => HOUSE_NAMES.test(line)),
      [],
      name,
    )
  }
})

t.test('the fields of log lines are in snake_case', async t => {
  let fields = 0
  for (const { name, tree } of sources) {
    const visit = (node: ts.Node): void => {
      if (ts.isCallExpression(node) && /\blog\b/i.test(node.expression.getText())) {
        const properties = node.arguments
          .filter(ts.isObjectLiteralExpression)
          .flatMap(literal => literal.properties)
        for (const field of properties.flatMap(property => property.name?.getText() ?? [])) {
          fields++
          if (!/^[a-z][a-z0-9_]*$/.test(field)) t.fail(`${name}: ${field}`)
        }
      }
      ts.forEachChild(node, visit)
    }
    visit(tree)
  }
  t.ok(fields > 50, `${fields} fields`)
})

t.test('comments and names of tests and benchmarks are plain English', async t => {
  for (const name of [...filesBelow('test'), ...filesBelow('bench')]) {
    const text = readFileSync(join(root, name), 'utf8')
    t.strictSame([...faultyComments(text), ...faultyNames(text)], [], name)
  }
})

t.test('documents are plain English, and their lines fit the width', async t => {
  const pages = ['README.md', 'CHANGELOG.md', 'CONTRIBUTING.md', ...filesBelow('docs', '.md')]
  for (const name of pages) {
    t.strictSame(faultyProse(readFileSync(join(root, name), 'utf8')), [], name)
  }
  for (const name of filesBelow('docs', '.yml')) {
    const lines = readFileSync(join(root, name), 'utf8').split('\n')
    t.strictSame(lines.filter(isBanned), [], name)
  }
})

t.test('the table of modules in the docs is that of src/borders.json', async t => {
  const page = readFileSync(MODULES_PAGE, 'utf8')
  t.equal(page, withModulesTable(page), 'run npm run docs')
})
