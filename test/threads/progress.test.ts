import t from 'tap'
import { watchProgress } from '../../src/threads/progress.ts'

t.test('what stands still for so many looks is stalled, until it goes on', async t => {
  let progress = 0
  const watched = watchProgress(() => progress, 3)
  const looks = (...steps: number[]) =>
    steps.map(step => {
      progress += step
      return watched.stalled()
    })
  t.same(looks(1, 0, 0), [false, false, false])
  t.same(looks(0, 0), [true, true])
  t.same(looks(-5, 0, 0, 0), [false, false, false, true], 'a count that wrapped around is progress')
})
