import t from 'tap'
import { type Check, makeChecks } from '../../bench/guard.ts'

const PLAN = { size: 'smoke', runs: 3, seconds: 0 } as const

/** A check that returns these values in turn. */
function check(...answers: number[][]): Check {
  return async () => answers.shift() ?? []
}

t.test('a check passes within its bound, by the median of its rounds', async t => {
  const checks = { hot: check([1.9, 2.4, 9]) }
  const { lines, failed, measured } = await makeChecks(
    checks,
    { hot: { ratio: 2, from: 'here' } },
    1.25,
    PLAN,
  )
  t.same(lines, ['ok 1 - hot: 2.40 ×, expected 2, at most 2.50'])
  t.equal(failed, 0)
  t.same(measured, { hot: 2.4 })
})

t.test('a check fails when it exceeds its bound twice', async t => {
  const expected = { once: { ratio: 2, from: 'here' }, twice: { ratio: 2, from: 'here' } }
  const checks = { once: check([3], [2]), twice: check([3], [2.6]) }
  const { lines, failed } = await makeChecks(checks, expected, 1.25, PLAN)
  t.same(lines, [
    'ok 1 - once: 2.00 ×, expected 2, at most 2.50',
    'not ok 2 - twice: 2.60 ×, expected 2, at most 2.50',
  ])
  t.equal(failed, 1)
})

t.test('a check without an expected value fails', async t => {
  const { failed } = await makeChecks({ new: check([1], [1]) }, {}, 1.25, PLAN)
  t.equal(failed, 1)
})
