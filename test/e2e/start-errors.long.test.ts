import { createServer } from 'node:net'
import t from 'tap'
import { configFile, launch, startTracker } from '../fixtures/start-tracker.ts'

function config(bindAddress: string, workers = 1): object {
  return { http_server: [{ bind_address: bindAddress }], api_server: [], frontend: { workers } }
}

for (const workers of [0, 1]) {
  t.test(`a taken port is named, and the exit status is 69, with ${workers} workers`, async t => {
    const taken = createServer()
    await new Promise<void>(resolve => taken.listen(0, '127.0.0.1', resolve))
    t.teardown(() => taken.close())
    const address = taken.address()
    const port = typeof address === 'object' && address ? address.port : 0
    const tracker = launch(t, ['--config', configFile(t, config(`127.0.0.1:${port}`, workers))])
    t.equal(await tracker.ended, 69)
    t.match(
      tracker.stderr(),
      `cannot listen on 127.0.0.1 port ${port}: the port is in use by another program`,
    )
  })
}

t.test('a second tracker on the same port does not start, and the first continues', async t => {
  const first = await startTracker(t)
  const second = launch(t, [
    '--config',
    configFile(t, config(`127.0.0.1:${first.port('http', '127.0.0.1')}`)),
  ])
  t.equal(await second.ended, 69)
  t.equal(await first.stop(), 0)
})

t.test('reports every configuration error and exits with status 78', async t => {
  const file = configFile(t, '[tracker_config]\nrequest_intervall = 5\nnumwant_default = 0\n')
  const tracker = launch(t, ['--config', file])
  t.equal(await tracker.ended, 78)
  t.match(
    tracker.stderr(),
    'tracker_config.request_intervall: unknown key (found 5); did you mean request_interval?',
  )
  t.match(
    tracker.stderr(),
    'tracker_config.numwant_default: must be a whole number of peers between 1 and 400 (found 0)',
  )
  t.same(tracker.log, [], 'and nothing was started')
})

t.test('reports invalid TOML with file, line and column', async t => {
  const file = configFile(t, '[tracker_config]\nrequest_interval = = 5\n')
  const tracker = launch(t, ['--config', file])
  t.equal(await tracker.ended, 78)
  t.match(tracker.stderr(), `${file}:2:`)
})

t.test('wrong arguments print the usage and exit with status 64', async t => {
  const tracker = launch(t, ['--conifg', 'x'])
  t.equal(await tracker.ended, 64)
  t.match(tracker.stderr(), 'Try muster --help')
})

t.test('--help, --version and --check-config print and start nothing', async t => {
  const file = configFile(t, config('127.0.0.1:1'))
  for (const [words, text] of [
    [['--help'], 'Usage: muster'],
    [['--version'], /^muster \d+\.\d+\.\d+$/m],
    [['--config', file, '--check-config'], 'bind_address = "127.0.0.1:1"'],
  ] as const) {
    const tracker = launch(t, words)
    t.equal(await tracker.ended, 0)
    t.match(tracker.log.map(({ msg }) => msg).join('\n'), text)
  }
})
