import { execFile } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import { getBencoded } from '../fixtures/http-client.ts'
import { announceTarget } from '../fixtures/load.ts'
import { repositoryRoot } from '../fixtures/repository-root.ts'
import {
  configFile,
  isAlive,
  LOOPBACK,
  launchCommand,
  temporaryFolder,
} from '../fixtures/start-tracker.ts'

const run = promisify(execFile)
const FORBIDDEN = /^(test|bench|src|node_modules|dist\/(test|bench)|\.ci)\//
const NEEDED = [
  'package.json',
  'README.md',
  'LICENSE',
  'CHANGELOG.md',
  'config.toml',
  'dist/src/main.js',
  'dist/src/frontends/api/openapi.json',
  'dist/src/dashboard/index.html',
  'dist/src/dashboard/style.css',
  'dist/src/dashboard/main.js',
  'docs/reference/config.md',
  'docs/operate/guide.md',
  'docs/monitoring/alerts.yml',
  'systemd/muster.service',
  'systemd/sysctl.d/60-muster.conf',
]

/** The prepack script would build anew, under the tests that run meanwhile. */
const PACK = ['pack', '--ignore-scripts', '--json']

type Packed = { filename: string; files: { path: string }[] }

/** Error of npm when it cannot reach the registry for a package that its cache does not have. */
const UNREACHABLE =
  /\b(ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ERR_SOCKET_TIMEOUT|ENOTCACHED|E429|E502|E503|E504)\b/

async function pack(folder: string): Promise<Packed> {
  const { stdout } = await run('npm', [...PACK, '--pack-destination', folder], {
    cwd: repositoryRoot(),
  })
  const [packed] = JSON.parse(stdout) as [Packed]
  return packed
}

t.test('the package has all files that it needs, and no tests', async t => {
  const { files } = await pack(temporaryFolder(t))
  const paths = files.map(({ path }) => path)
  for (const path of NEEDED) t.ok(paths.includes(path), path)
  t.same(
    paths.filter(path => FORBIDDEN.test(path)),
    [],
  )
})

t.test('every path that the Dockerfile copies exists and is not ignored', async t => {
  const text = (name: string) => readFileSync(join(repositoryRoot(), name), 'utf8')
  const copies = [...text('Dockerfile').matchAll(/^COPY (?!--from)(.+) \S+$/gm)]
  const sent = text('.dockerignore').match(/(?<=^!).+$/gm)
  t.ok(copies.length > 5)
  for (const path of copies.flatMap(([, paths = '']) => paths.split(' '))) {
    t.ok(existsSync(join(repositoryRoot(), path)), `${path} is there`)
    t.ok(
      sent?.some(name => path === name || path.startsWith(`${name}/`)),
      `${path} is sent`,
    )
  }
})

t.test('the packed tarball, installed into an empty folder, is a tracker', async t => {
  const home = temporaryFolder(t)
  const { filename } = await pack(home)
  const folder = join(home, 'installed')
  mkdirSync(folder)
  const quick = ['--prefer-offline', '--no-audit', '--no-fund', '--fetch-retries=1']
  try {
    await run('npm', ['install', ...quick, join(home, filename)], { cwd: folder })
  } catch (error) {
    const { stderr } = error as { stderr: string }
    if (!UNREACHABLE.test(stderr)) throw error
    t.pass('it is installed', { skip: 'the registry cannot be reached' })
    return
  }
  const { stdout: version } = await run('npx', ['muster', '--version'], { cwd: folder })
  t.match(version, /^muster \d+\.\d+\.\d+$/m)
  const file = configFile(t, { ...LOOPBACK, api_server: [{ bind_address: '127.0.0.1:0' }] })
  const words = ['muster', '--config', file]
  const { stdout: checked } = await run('npx', [...words, '--check-config'], { cwd: folder })
  t.match(checked, '[[http_server]]')

  const tracker = launchCommand(t, ['npx', ...words], folder)
  const first = await Promise.race([tracker.line(({ msg }) => msg === 'ready'), tracker.ended])
  if (typeof first !== 'object') throw new Error(`it ended with ${first}: ${tracker.stderr()}`)
  const pid = Number(first['pid'])
  t.teardown(() => isAlive(pid) && process.kill(pid, 'SIGKILL'))
  t.match(await getBencoded(tracker.url(4), announceTarget(1, 1)), { incomplete: 1 })
  t.match(await getBencoded(tracker.url(6), announceTarget(3, 1)), { incomplete: 2 })
  const page = await fetch(`http://127.0.0.1:${tracker.port('api')}/`)
  t.match(await page.text(), '<title>muster</title>')
  // npx does not forward SIGTERM.
  process.kill(pid, 'SIGTERM')
  t.equal(await tracker.ended, 0)
  t.match(tracker.log.at(-1), { msg: 'stopped', peers_ipv4: 1, peers_ipv6: 1 })
  t.ok(existsSync(join(folder, 'data/swarm.snapshot')), 'what it keeps lies where it was started')
})
