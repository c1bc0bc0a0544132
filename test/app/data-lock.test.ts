import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { lockDataFolders } from '../../src/app/data-lock.ts'
import { loadConfig } from '../../src/config/load.ts'
import { configFile, LOOPBACK, launch, temporaryFolder } from '../fixtures/start-tracker.ts'

const LOCK = new URL('../../src/native/file-lock.js', import.meta.url).href
const skip = process.platform === 'linux' ? false : 'files are locked on Linux only'

function dataIn(folder: string) {
  return {
    database: { path: `sqlite://${folder}/muster.db` },
    snapshot: { path: join(folder, 'swarm.snapshot') },
  }
}

t.test(
  'a second tracker on the same folder is refused until the first one exits',
  { skip },
  async t => {
    const folder = temporaryFolder(t)
    const holder = spawn(
      process.execPath,
      [
        '--input-type=module',
        '-e',
        `import { lockFile } from '${LOCK}'
       lockFile(${JSON.stringify(join(folder, 'muster.lock'))})
       console.log('locked')
       setInterval(() => {}, 1000)`,
      ],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    )
    t.teardown(() => holder.kill('SIGKILL'))
    await once(holder.stdout, 'data')
    const tracker = launch(t, ['--config', configFile(t, { ...LOOPBACK, ...dataIn(folder) })])
    t.equal(await tracker.ended, 69)
    t.match(
      tracker.stderr(),
      `database.path: another muster uses the folder ${folder} (process ${holder.pid}).`,
    )
    holder.kill('SIGKILL')
    await once(holder, 'close')
    const { config } = loadConfig({ file: configFile(t, dataIn(folder)), environment: {} })
    const lock = lockDataFolders(config)
    t.equal(readFileSync(join(folder, 'muster.lock'), 'utf8'), `${process.pid}\n`)
    await lock.stop()
  },
)

t.test('the error for an unusable folder names it', async t => {
  const folder = temporaryFolder(t)
  writeFileSync(join(folder, 'file'), '')
  const file = configFile(t, dataIn(join(folder, 'file')))
  const { config } = loadConfig({ file, environment: {} })
  t.throws(() => lockDataFolders(config), {
    exitStatus: 69,
    message: /cannot lock .*ENOTDIR|EEXIST/,
  })
})
