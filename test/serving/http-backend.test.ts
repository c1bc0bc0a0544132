import t from 'tap'
import { chooseBackend } from '../../src/frontends/backends/choose.ts'
import { chooseHttpBackend } from '../../src/serving/http-backend.ts'
import { createTestLog } from '../app/fixtures/log-lines.ts'

const { reason } = chooseBackend('auto')

t.test(
  'auto logs one warning, with the reason and a command, only where it falls back',
  async t => {
    const { log, lines } = createTestLog()
    t.equal(chooseHttpBackend('auto', log), reason === undefined ? 'uws' : 'node')
    const warning = { level: 40, reason, install: /^npm install --allow-git=root uWebSockets\.js@/ }
    t.match(lines, reason === undefined ? [] : [warning])
    t.equal(lines.length, reason === undefined ? 0 : 1)
  },
)

t.test('a chosen backend causes no warning, and uws is required to load', async t => {
  const { log, lines } = createTestLog()
  t.equal(chooseHttpBackend('node', log), 'node')
  if (reason === undefined) t.equal(chooseHttpBackend('uws', log), 'uws')
  else {
    t.throws(() => chooseHttpBackend('uws', log), {
      exitStatus: 69,
      message: `frontend.http is "uws", but uWebSockets.js does not load: ${reason}`,
    })
  }
  t.same(lines, [])
})
