import t from 'tap'
import { RefusalLog } from '../../../src/frontends/websocket/refusal-log.ts'

t.test('each message is logged once a minute, with the number of those suppressed', async t => {
  let now = 1000
  const lines: [message: string, fields: object][] = []
  const log = { warn: (fields: object, message: string) => lines.push([message, fields]) }
  const refusals = new RefusalLog(log, () => now)
  for (let n = 0; n < 100; n++) refusals.report('a', { n })
  refusals.report('b', {})
  now += 59
  refusals.report('a', {})
  now += 1
  refusals.report('a', { n: 'later' })
  refusals.report('a', {})
  t.same(lines, [
    ['a', { n: 0, suppressed: 0 }],
    ['b', { suppressed: 0 }],
    ['a', { n: 'later', suppressed: 100 }],
  ])
})
