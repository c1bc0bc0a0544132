import { spawnSync } from 'node:child_process'
import t from 'tap'
import { MAIN } from '../fixtures/start-tracker.ts'

t.test('with too few open files it reports that and exits with a listed status', async t => {
  for (const files of [30, 128, 300]) {
    const { status, stderr } = spawnSync(
      'sh',
      // tap's own module, which NODE_OPTIONS loads, does not expect the limit.
      [
        '-c',
        `unset NODE_OPTIONS; ulimit -n ${files}; exec "$@"`,
        'sh',
        process.execPath,
        MAIN,
        '--version',
      ],
      { encoding: 'utf8' },
    )
    t.match({ status, stderr }, { status: 69, stderr: /^the process may open only \d+ files/ })
    t.equal(stderr.trimEnd().split('\n').length, 1, 'no stack trace')
  }
})
