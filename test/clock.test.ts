import t from 'tap'
import { createClockOffset, unixSeconds } from '../src/clock.ts'

t.test("the clock returns Unix time and does not follow the system's", async t => {
  const offset = createClockOffset()
  t.ok(Math.abs(unixSeconds(offset) - Date.now() / 1000) <= 2)
  const realNow = Date.now
  t.teardown(() => {
    Date.now = realNow
  })
  const before = unixSeconds(offset)
  Date.now = () => realNow() + 3_600_000
  t.ok(unixSeconds(offset) - before <= 1)
})
