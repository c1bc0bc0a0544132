import t from 'tap'
import { startWithApi, TOKEN } from '../fixtures/admin-client.ts'
import { askAnything } from '../frontends/api/fixtures/any-request.ts'
import { openApiClient } from '../frontends/api/fixtures/api-client.ts'

t.test('a running tracker answers 5,000 requests as documented', async t => {
  const { tracker } = await startWithApi(t, {
    frontend: { workers: 2 },
    tracker_config: {
      swagger: true,
      whitelist_enabled: true,
      blacklist_enabled: true,
      keys_enabled: true,
      users_enabled: true,
    },
  })
  const { ask } = openApiClient(t, tracker.port('api'), TOKEN)
  const statuses = await askAnything(5000, ask)
  for (const status of [200, 304, 400, 404]) {
    t.ok((statuses.get(status) ?? 0) > 5, `${statuses.get(status)} answers were ${status}`)
  }
  t.same(tracker.warnings(), [], 'nothing to complain about in the log')
  t.equal(await tracker.stop(), 0)
})
