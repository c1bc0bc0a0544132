import t from 'tap'
import { watchProgress } from '../src/progress.ts'

t.test('a number that is the same for so many polls has stalled, until it changes', async t => {
  let progress = 0
  const watched = watchProgress(() => progress, 3)
  const polls = (...steps: number[]) =>
    steps.map(step => {
      progress += step
      return watched.stalled()
    })
  t.same(polls(1, 0, 0), [false, false, false])
  t.same(polls(0, 0), [true, true])
  t.same(polls(-5, 0, 0, 0), [false, false, false, true], 'a count that wrapped around is progress')
})
