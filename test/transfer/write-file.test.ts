import { execFileSync } from 'node:child_process'
import { createReadStream, lstatSync, readdirSync, readFileSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import t from 'tap'
import { writeFileWhole } from '../../src/transfer/write-file.ts'

async function* lines(...all: string[]): AsyncGenerator<string> {
  yield* all
}

async function* endless(): AsyncGenerator<string> {
  for (;;) yield 'line\n'.repeat(10_000)
}

t.test('a file is replaced when the new one is complete', async t => {
  const folder = t.testdir({ file: 'old' })
  const file = join(folder, 'file')
  async function* failing() {
    yield 'new'
    t.equal(readFileSync(file, 'utf8'), 'old')
    throw new TypeError('no more rows')
  }
  await t.rejects(writeFileWhole(file, failing()), new TypeError('no more rows'))
  t.equal(readFileSync(file, 'utf8'), 'old')
  t.same(readdirSync(folder), ['file'], 'nothing is left beside it')
  await writeFileWhole(file, lines('new', 'er'))
  t.equal(readFileSync(file, 'utf8'), 'newer')
  t.equal(lstatSync(file).mode & 0o777, 0o600)
})

t.test('a symbolic link stays, and its target is written', async t => {
  const folder = t.testdir({ target: 'old', link: t.fixture('symlink', 'target') })
  await writeFileWhole(join(folder, 'link'), lines('new'))
  t.ok(lstatSync(join(folder, 'link')).isSymbolicLink())
  t.equal(readFileSync(join(folder, 'target'), 'utf8'), 'new')
  symlinkSync('nowhere/file', join(folder, 'dangling'))
  await writeFileWhole(join(folder, 'dangling'), lines('x'))
  t.equal(readFileSync(join(folder, 'dangling'), 'utf8'), 'x')
})

t.test('a named pipe is written to, and stays one', async t => {
  const pipe = join(t.testdir({}), 'pipe')
  execFileSync('mkfifo', [pipe])
  const read = text(createReadStream(pipe))
  await writeFileWhole(pipe, lines('one\n', 'two\n'))
  t.equal(await read, 'one\ntwo\n')
  t.ok(lstatSync(pipe).isFIFO())

  const reader = createReadStream(pipe)
  reader.once('data', () => reader.destroy())
  const message = `${pipe}: cannot write the export: EPIPE`
  await t.rejects(writeFileWhole(pipe, endless()), { name: 'OperatorError', message })
  t.ok(lstatSync(pipe).isFIFO())
})

t.test('a path that cannot be written is explained', async t => {
  const folder = t.testdir({ file: '' })
  for (const [path, code] of [
    [folder, 'EISDIR'],
    [join(folder, 'none', 'file'), 'ENOENT'],
    [join(folder, 'file', 'file'), 'ENOTDIR'],
  ] as const) {
    const message = `${path}: cannot write the export: ${code}`
    await t.rejects(writeFileWhole(path, lines('x')), { message, exitStatus: 69 })
  }
})
