import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { installFrom } from '../fixtures/documents.ts'
import { setEnvironment } from '../fixtures/environment.ts'
import { launchCommand, temporaryFolder } from '../fixtures/start-tracker.ts'

t.test('the README installs a service on an empty system, and its command starts', async t => {
  const root = temporaryFolder(t)
  await installFrom(t, 'README.md', root)
  const unit = readFileSync(join(root, 'etc/systemd/system/muster.service'), 'utf8')
  const [, command = ''] = /^ExecStart=\/usr\/bin\/node (.+)$/m.exec(unit) ?? []
  const args = command.split(' ').map(word => (word.startsWith('/') ? join(root, word) : word))
  for (const path of args.filter(word => word.startsWith('/'))) t.ok(existsSync(path), path)

  for (const server of ['HTTP', 'UDP', 'API'])
    setEnvironment(t, `${server}_0_BIND_ADDRESS`, '127.0.0.1:0')
  for (const server of ['HTTP', 'UDP']) setEnvironment(t, `${server}_1_ENABLED`, 'false')
  setEnvironment(t, 'FRONTEND__WORKERS', '1')
  const tracker = launchCommand(t, [process.execPath, ...args], temporaryFolder(t))
  const first = await Promise.race([tracker.line(({ msg }) => msg === 'ready'), tracker.ended])
  t.match(first, { msg: 'ready' }, tracker.stderr())
  t.equal(await tracker.stop(), 0)

  await installFrom(t, 'docs/operate/guide.md', root)
  const secrets = join(root, 'etc/muster/secrets.env')
  t.match(readFileSync(secrets, 'utf8'), 'TRACKER__API_KEY=')
  t.match(unit, `EnvironmentFile=-${secrets.slice(root.length)}`)
})
