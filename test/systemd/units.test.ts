import { execFile } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import { repositoryRoot } from '../fixtures/repository-root.ts'
import { temporaryFolder } from '../fixtures/start-tracker.ts'

const run = promisify(execFile)
const UNIT = join(repositoryRoot(), 'systemd/muster.service')
const SYSCTL = join(repositoryRoot(), 'systemd/sysctl.d/60-muster.conf')
const EXPOSURE_MAX = 1

const skip = await run('systemd-analyze', ['--version']).then(
  () => false,
  () => 'systemd-analyze is not installed',
)

t.test('systemd knows every setting of the unit', { skip }, async t => {
  // Missing programs are errors too, and a unit may be checked before muster is installed.
  const folder = temporaryFolder(t)
  const text = readFileSync(UNIT, 'utf8').replace(
    /^ExecStart=\S+/m,
    `ExecStart=${process.execPath}`,
  )
  const file = join(folder, 'muster.service')
  writeFileSync(file, text)
  const { stdout, stderr } = await run('systemd-analyze', ['verify', '--man=no', file])
  const ofOurs = `${stdout}${stderr}`.split('\n').filter(line => line.includes('muster'))
  t.same(ofOurs, [])
})

t.test('systemd rates the exposure of the unit at most 1.0', { skip }, async t => {
  const { stdout } = await run('systemd-analyze', [
    'security',
    '--offline=true',
    '--no-pager',
    UNIT,
  ])
  const [, exposure] = /exposure level for muster\.service: ([\d.]+)/.exec(stdout) ?? []
  t.ok(Number(exposure) <= EXPOSURE_MAX, `exposure ${exposure}`)
})

// A network namespace of its own hides some of them.
const hidden =
  !existsSync('/proc/sys/net/core/rmem_max') && 'the settings of this kernel cannot be seen'

t.test('the kernel knows the settings', { skip: hidden }, async t => {
  const lines = readFileSync(SYSCTL, 'utf8')
    .split('\n')
    .filter(line => !/^(#|$)/.test(line))
  t.ok(lines.length >= 5)
  for (const line of lines) {
    const [, name = ''] = /^([a-z0-9_.]+) = \d+$/.exec(line) ?? []
    t.ok(name && existsSync(`/proc/sys/${name.replaceAll('.', '/')}`), line)
  }
})
