import t from 'tap'
import { startWithApi, TOKEN } from '../fixtures/admin-client.ts'
import { getBencoded, RawConnection } from '../fixtures/http-client.ts'
import { announceTarget } from '../fixtures/load.ts'

const SLOW_CLIENTS = 500
const DRIP_MILLIS = 1000

/** Opens a connection, sends `begin`, then `drip` every second. Resolves once it is closed. */
async function cutOff(port: number, begin: string, drip: string): Promise<void> {
  const connection = await RawConnection.open(port)
  if (begin) connection.write(begin)
  const timer = setInterval(() => drip && connection.write(drip), DRIP_MILLIS)
  await connection.ended()
  clearInterval(timer)
}

t.test('slow clients are disconnected, and others are served meanwhile', async t => {
  const { tracker, admin } = await startWithApi(t, { frontend: { workers: 1 } })
  const http = tracker.port('http', '127.0.0.1')
  const head = 'GET /announce HTTP/1.1\r\nhost: tracker\r\nx-slow: '
  const body = `POST /api/whitelists HTTP/1.1\r\nhost: tracker\r\nauthorization: Bearer ${TOKEN}\r\ncontent-length: 100000\r\n\r\n`
  let open = SLOW_CLIENTS
  const slow = Promise.all(
    Array.from({ length: SLOW_CLIENTS }, async () => {
      await cutOff(http, head, 'a')
      open--
    }),
  )
  const others = Promise.all([
    cutOff(http, '', ''),
    cutOff(http, head, ''),
    cutOff(http, `GET ${announceTarget(1, 1)} HTTP/1.1\r\nhost: tracker\r\n\r\n`, ''),
    cutOff(tracker.port('api'), body, '['),
    cutOff(tracker.port('api'), body, ''),
  ])
  let served = 0
  while (open > 0) {
    const answer = await getBencoded(tracker.url(), announceTarget(2, 1))
    if (!answer['interval']) t.fail('an announce is refused')
    if ((await admin.call('GET', '/stats')).status !== 200) t.fail('the API does not answer')
    served++
  }
  t.ok(served > 0, `${served} announces were answered meanwhile`)
  await slow
  await others
})
