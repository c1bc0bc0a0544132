import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import t, { type Test } from 'tap'
import { repositoryRoot } from './fixtures/repository-root.ts'

/** A project as small as can be, with the real build script and settings. */
function project(t: Test) {
  const folder = t.testdir({})
  const root = repositoryRoot()
  const write = (file: string, text: string) => {
    mkdirSync(join(folder, dirname(file)), { recursive: true })
    writeFileSync(join(folder, file), text)
  }
  for (const file of ['build.js', 'tsconfig.json', 'package.json', 'package-lock.json']) {
    copyFileSync(join(root, file), join(folder, file))
  }
  write(
    'src/dashboard/tsconfig.json',
    readFileSync(join(root, 'src/dashboard/tsconfig.json'), 'utf8'),
  )
  write('src/dashboard/main.ts', 'export {}\n')
  write('src/dashboard/style.css', 'a {}\n')
  write('src/main.ts', "import { name } from './name.ts'\n\nprocess.stdout.write(name)\n")
  write('src/name.ts', "export const name = 'first'\n")
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'))
  const path = (file: string) => join(folder, file)
  return {
    write,
    path,
    build: (...args: string[]) =>
      spawnSync(process.execPath, [path('build.js'), ...args], { encoding: 'utf8' }),
    output: () => spawnSync(process.execPath, [path('dist/src/main.js')]).stdout.toString(),
  }
}

t.test('a build compiles what changed, and nothing where nothing did', async t => {
  const { build, output, path, write } = project(t)
  t.equal(build().status, 0)
  t.equal(output(), 'first')
  t.ok(existsSync(path('dist/src/dashboard/style.css')))
  const { mtimeMs } = statSync(path('dist/build.json'))
  t.equal(build().status, 0)
  t.equal(statSync(path('dist/build.json')).mtimeMs, mtimeMs, 'nothing is written')
  write('src/name.ts', "export const name = 'second'\n")
  t.equal(build().status, 0)
  t.equal(output(), 'second')
})

t.test('a build without the check of types is complete, and the next one checks them', async t => {
  const { build, output, path, write } = project(t)
  write('src/name.ts', "export const name: number = 'first'\n")
  t.equal(build('--no-check').status, 0)
  t.equal(output(), 'first')
  t.equal(build('--program').stderr, '', 'the program is not compiled again')
  const checked = build()
  t.not(checked.status, 0)
  t.match(checked.stdout, /src\/name\.ts.*TS2322/)
  t.equal(build('--no-check').status, 0)
  write('src/name.ts', "export const name = 'second'\n")
  t.equal(build().status, 0)
  t.equal(build('--no-check').status, 0)
  t.equal(output(), 'second')
  t.notOk(existsSync(path('dist/unchecked.json')), 'nothing is compiled after a whole build')
})

t.test('the outputs of renamed and removed files are deleted', async t => {
  const { build, output, path, write } = project(t)
  t.equal(build().status, 0)
  renameSync(path('src/name.ts'), path('src/title.ts'))
  write('src/main.ts', "import { name } from './title.ts'\n\nprocess.stdout.write(name)\n")
  rmSync(path('src/dashboard/style.css'))
  t.equal(build().status, 0)
  t.equal(output(), 'first')
  for (const file of ['src/name.js', 'src/name.js.map', 'src/dashboard/style.css']) {
    t.notOk(existsSync(path(join('dist', file))), file)
  }
  rmSync(path('dist/src/title.js'))
  write('src/other.ts', 'export {}\n')
  t.equal(build().status, 0)
  t.equal(output(), 'first', 'an output that was removed is written again')
})

t.test(
  'the program alone is compiled without tests, and a whole build after it is complete',
  async t => {
    const { build, output, path, write } = project(t)
    write('test/main.test.ts', 'export {}\n')
    const program = () => build('--program')
    t.match(program(), { status: 0, stderr: 'Compiling the program' })
    t.equal(output(), 'first')
    t.ok(existsSync(path('dist/src/dashboard/style.css')))
    t.notOk(existsSync(path('dist/test/main.test.js')))
    t.match(program(), { status: 0, stderr: '' }, 'nothing changed')
    t.equal(build().status, 0)
    t.ok(existsSync(path('dist/test/main.test.js')))
    t.match(program(), { status: 0, stderr: '' }, 'a whole build has compiled the program')
    write('src/name.ts', "export const name: number = 'second'\n")
    t.equal(program().status, 0, 'types are not checked')
    t.equal(output(), 'second')
    write('src/name.ts', "export const name = 'first'\n")
    t.equal(build().status, 0)
    t.equal(output(), 'first', 'the sources of the whole build before')
    write('src/name.ts', 'export const name = \n')
    t.not(program().status, 0, 'an error of syntax fails the build')
  },
)

t.test('an error fails the build, also when it is tried again', async t => {
  const { build, output, write } = project(t)
  t.equal(build().status, 0)
  write('src/name.ts', 'export const name: string = 1\n')
  for (const time of ['first', 'second']) {
    const { status, stdout } = build()
    t.not(status, 0, time)
    t.match(stdout, 'src/name.ts(1,14): error TS2322')
  }
  write('src/name.ts', "export const name = 'third'\n")
  t.equal(build().status, 0)
  t.equal(output(), 'third')
})

t.test('a package without sources, and a read-only folder, start as they are', async t => {
  const { build, path, write } = project(t)
  t.equal(build().status, 0)
  write('src/name.ts', "export const name = 'second'\n")
  if (process.getuid?.() !== 0) {
    chmodSync(path('.'), 0o555)
    t.teardown(() => chmodSync(path('.'), 0o755))
    t.match(build(), { status: 0, stderr: /read-only/ })
    chmodSync(path('.'), 0o755)
  }
  rmSync(path('src'), { recursive: true })
  t.match(build(), { status: 0, stdout: '', stderr: '' })
})
