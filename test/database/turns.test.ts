import t from 'tap'
import { DatabaseTimeout } from '../../src/database/time-limit.ts'
import { createTurns } from '../../src/database/turns.ts'

t.test('work runs in the order of the calls, one at a time', async t => {
  const turns = createTurns(10_000)
  const events: string[] = []
  const work = (name: string, fails = false) =>
    turns.take(async () => {
      events.push(`${name} begins`)
      await new Promise(setImmediate)
      events.push(`${name} ends`)
      if (fails) throw new Error(name)
      return name
    })
  const first = work('first')
  const second = work('second', true)
  const third = work('third')
  await t.rejects(second, /second/)
  t.same([await first, await third], ['first', 'third'], 'a failure is only of the one who asked')
  t.same(
    events,
    ['first', 'second', 'third'].flatMap(name => [`${name} begins`, `${name} ends`]),
  )
})

t.test('a job that does not start in time never runs', async t => {
  const turns = createTurns(20)
  let release = () => {}
  const slow = turns.take(() => new Promise<void>(resolve => (release = resolve)))
  let ran = false
  const late = turns.take(async () => {
    ran = true
  })
  await t.rejects(late, DatabaseTimeout)
  release()
  await slow
  await turns.take(async () => undefined)
  t.notOk(ran, 'its caller has received the failure')
})

t.test('close waits for earlier calls and refuses later ones', async t => {
  const turns = createTurns(10_000)
  let done = 0
  const asked = [1, 2].map(() =>
    turns.take(async () => {
      await new Promise(setImmediate)
      done++
    }),
  )
  const closing = turns.close()
  await t.rejects(
    turns.take(async () => undefined),
    /closed/,
  )
  await closing
  t.equal(done, 2)
  await Promise.all(asked)
})
