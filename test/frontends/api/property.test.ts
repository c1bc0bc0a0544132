import t from 'tap'
import { rounds } from '../../fixtures/rounds.ts'
import { askAnything } from './fixtures/any-request.ts'
import { startApi } from './fixtures/api-client.ts'

t.test('random requests get documented answers', async t => {
  const { ask, errors, server } = await startApi(t, { swagger: true })
  const statuses = await askAnything(rounds(600, 2000), ask)
  t.same(errors, [])
  t.equal(server.inFlight, 0)
  for (const status of [200, 204, 304, 400, 404, 405]) {
    t.ok(
      (statuses.get(status) ?? 0) > rounds(1, 5),
      `${statuses.get(status)} answers were ${status}`,
    )
  }
})
