import t from 'tap'
import { announce } from '../fixtures/admin-client.ts'
import { getBencoded } from '../fixtures/http-client.ts'
import { startReloadable } from '../fixtures/reloadable.ts'
import { testReloads } from './fixtures/reloads.ts'

testReloads(0)

t.test('an address that another program uses changes nothing', async t => {
  const { reload, tracker } = await startReloadable(t, { frontend: { workers: 1 } })
  const other = await startReloadable(t, { frontend: { workers: 0 } })
  const taken = `127.0.0.1:${other.tracker.port('http', '127.0.0.1')}`
  t.match(await reload({ http_server: [{ bind_address: taken }] }), /^reload failed/)
  t.match(
    tracker.log.find(({ msg }) => msg.startsWith('reload failed')),
    { faults: [/the port is in use by another program/] },
  )
  t.equal(tracker.log.filter(({ msg }) => msg === 'worker started').length, 1)
  t.match(await getBencoded(tracker.url(), announce('/announce', 1)), { complete: 0 })
})
