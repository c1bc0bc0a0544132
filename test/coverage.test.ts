import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { byFolder, countLines, executed } from './fixtures/coverage.ts'
import { repositoryRoot } from './fixtures/repository-root.ts'

const TEXT = `function run(isOn) {
  if (isOn) {
    go()
  }
  // a comment

  stop()
}
run(false)
`

t.test('lines that did not run are not covered, and lines without code do not count', async t => {
  const block = TEXT.indexOf('{\n    go')
  const functions = [
    { ranges: [{ startOffset: 0, endOffset: TEXT.length, count: 1 }] },
    {
      ranges: [
        { startOffset: 0, endOffset: TEXT.indexOf('run(false)'), count: 1 },
        { startOffset: block, endOffset: TEXT.indexOf('}', block) + 1, count: 0 },
      ],
    },
  ]
  const marks = executed({ functions }, TEXT.length)
  t.same(countLines(TEXT, marks), { total: 5, covered: 4 })
  t.same(countLines(TEXT, new Uint8Array()), { total: 5, covered: 0 })
})

t.test('files of a folder and of its subfolders are counted together', async t => {
  const files = new Map([
    ['a/one.js', { total: 10, covered: 5 }],
    ['a/b/two.js', { total: 30, covered: 25 }],
    ['main.js', { total: 4, covered: 1 }],
  ])
  t.same(
    byFolder(files),
    new Map([
      ['.', 25],
      ['a', 75],
    ]),
  )
})

t.test('every folder of src has a floor', async t => {
  const root = repositoryRoot()
  const floors = JSON.parse(readFileSync(join(root, 'test/coverage.json'), 'utf8')) as object
  const folders = readdirSync(join(root, 'src'), { withFileTypes: true })
    .filter(entry => entry.isDirectory() && entry.name !== 'dashboard')
    .map(({ name }) => name)
  t.same(Object.keys(floors), ['.', ...folders].sort())
})
