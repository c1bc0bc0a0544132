import { setImmediate } from 'node:timers/promises'
import t from 'tap'
import { type Death, Supervisor } from '../../src/serving/supervisor.ts'

type TestChild = {
  readonly n: number
  readonly pid: number
  readonly exited: (why: string) => void
  readonly ready: () => void
  asked: 'nothing' | 'hand over' | 'stop' | 'kill'
  /** Settled when it has handed over. */
  handedOver: Promise<void>
}

/** A supervisor whose clock and children the test moves. */
function supervise(count: number, failStarts = 0) {
  let clock = 0
  let startsToFail = failStarts
  const timers = new Map<() => void, number>()
  const children: TestChild[] = []
  const deaths: Death[] = []
  const supervisor = new Supervisor({
    count,
    leaveMillis: () => 0,
    now: () => clock,
    setTimer: (run, millis) => {
      timers.set(run, clock + millis)
      return { cancel: () => timers.delete(run) }
    },
    died: death => deaths.push(death),
    start: (n, exited, ready) => {
      if (startsToFail-- > 0) throw new Error('no process left')
      const child: TestChild = {
        n,
        pid: 100 + children.length,
        exited,
        ready,
        asked: 'nothing',
        handedOver: Promise.resolve(),
      }
      children.push(child)
      return {
        pid: child.pid,
        handOver: () => {
          child.asked = 'hand over'
          return child.handedOver
        },
        stop: () => {
          child.asked = 'stop'
        },
        kill: () => {
          child.asked = 'kill'
        },
      }
    },
  })
  return {
    supervisor,
    children,
    deaths,
    timers,
    /** Passes time, with the timers that fall due. */
    pass(millis: number) {
      clock += millis
      for (const [run, due] of [...timers]) {
        if (due > clock) continue
        timers.delete(run)
        run()
      }
    },
    last: () => children[children.length - 1] as TestChild,
  }
}

t.test('a child that dies is started again at once, with its number', async t => {
  const { children, deaths, last, pass } = supervise(2)
  t.same(
    children.map(({ n }) => n),
    [0, 1],
  )
  pass(3000)
  children[1]?.exited('SIGKILL')
  pass(0)
  t.equal(children.length, 3)
  t.equal(last().n, 1)
  t.same(deaths, [{ n: 1, pid: 101, why: 'SIGKILL', quickDeaths: 1, restartMillis: 0 }])
})

t.test(
  'a child that dies quickly is restarted later each time, after at most ten seconds',
  async t => {
    const { deaths, last, pass } = supervise(1)
    for (let death = 0; death < 12; death++) {
      last().exited('exit status 1')
      pass(deaths[death]?.restartMillis ?? 0)
    }
    t.same(
      deaths.map(({ restartMillis }) => restartMillis),
      [0, 100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000, 10_000, 10_000],
    )
  },
)

t.test('a child is not restarted before its wait is over', async t => {
  const { children, last, pass } = supervise(1)
  last().exited('exit status 1')
  pass(0)
  last().exited('exit status 1')
  pass(99)
  t.equal(children.length, 2)
  pass(1)
  t.equal(children.length, 3)
})

t.test('a child that runs long enough resets the count of early deaths', async t => {
  const { deaths, last, pass } = supervise(1)
  const dieAfter = (millis: number) => {
    pass(millis)
    last().exited('exit status 1')
    const { restartMillis = -1 } = deaths[deaths.length - 1] ?? {}
    pass(restartMillis)
    return restartMillis
  }
  t.same([dieAfter(0), dieAfter(0), dieAfter(9999)], [0, 100, 200], 'not healthy yet')
  t.same([dieAfter(10_000), dieAfter(0)], [0, 100], 'healthy, and from the beginning')
})

t.test('the deaths of one child do not slow down another', async t => {
  const { children, deaths, last, pass } = supervise(2)
  for (let death = 0; death < 5; death++) {
    const first = children.filter(({ n }) => n === 0).pop()
    first?.exited('exit status 1')
    pass(deaths[death]?.restartMillis ?? 0)
  }
  children[1]?.exited('SIGKILL')
  t.match(deaths[5], { n: 1, restartMillis: 0 })
  pass(0)
  t.equal(last().n, 1)
})

t.test('the start of a child that cannot be started is retried', async t => {
  const { children, deaths, pass } = supervise(1, 2)
  pass(0)
  pass(100)
  t.match(deaths, [
    { pid: undefined, why: 'no process left', restartMillis: 0 },
    { pid: undefined, why: 'no process left', restartMillis: 100 },
  ])
  t.equal(children.length, 1)
})

t.test('a child that reports its end twice is replaced once', async t => {
  const { children, last, pass } = supervise(1)
  const { exited } = last()
  exited('spawn EMFILE')
  exited('exit status 1')
  pass(0)
  t.equal(children.length, 2)
})

t.test('a stop ends every child, restarts none, and resolves with the last', async t => {
  const { supervisor, children, deaths, pass, timers } = supervise(3)
  children[2]?.exited('SIGKILL')
  let stopped = false
  const stop = supervisor.stop(1000).then(() => {
    stopped = true
  })
  t.same(
    children.map(({ asked }) => asked),
    ['stop', 'stop', 'nothing'],
  )
  children[0]?.exited('exit status 0')
  pass(500)
  await Promise.resolve()
  t.notOk(stopped, 'one is left')
  children[1]?.exited('exit status 0')
  await stop
  t.equal(children.length, 3, 'the restart that was due is off')
  t.equal(deaths.length, 1, 'a requested exit is not a death')
  t.equal(timers.size, 0)
})

t.test('a child that does not stop in time is killed', async t => {
  const { supervisor, children, pass } = supervise(2)
  const stop = supervisor.stop(1000)
  children[0]?.exited('exit status 0')
  pass(999)
  t.equal(children[1]?.asked, 'stop')
  pass(1)
  t.equal(children[1]?.asked, 'kill')
  children[1]?.exited('SIGKILL')
  await stop
})

t.test('a stop while every child waits for its restart ends at once', async t => {
  const { supervisor, children, pass } = supervise(1)
  children[0]?.exited('exit status 1')
  await supervisor.stop(1000)
  pass(10_000)
  t.equal(children.length, 1)
})

t.test('a kill ends all children and restarts none', async t => {
  const { supervisor, children, pass } = supervise(2)
  supervisor.kill()
  for (const child of children) child.exited('SIGKILL')
  pass(10_000)
  t.same(
    children.map(({ asked }) => asked),
    ['kill', 'kill'],
  )
})

t.test('a replacement takes over when it is ready, and is then supervised', async t => {
  const { supervisor, children, deaths, last, pass } = supervise(2)
  const replaced = supervisor.replace(1)
  t.equal(children.length, 3)
  t.equal(last().n, 1)
  t.equal(children[1]?.asked, 'nothing', 'it serves until then')
  last().ready()
  await replaced
  t.equal(children[1]?.asked, 'hand over')
  children[1]?.exited('exit status 0')
  pass(0)
  t.same([children.length, deaths.length], [3, 0], 'a requested exit is not a death')
  last().exited('SIGKILL')
  pass(0)
  t.equal(children.length, 4)
  t.match(deaths, [{ n: 1, pid: 102 }])
})

t.test('a replacement is complete when the old child accepts no more work', async t => {
  const { supervisor, children, last } = supervise(1)
  const [old] = children
  if (!old) throw new Error('no child')
  let handOver = () => {}
  old.handedOver = new Promise(resolve => {
    handOver = resolve
  })
  let isReplaced = false
  const replaced = supervisor.replace(0).then(() => {
    isReplaced = true
  })
  last().ready()
  await setImmediate()
  t.equal(old.asked, 'hand over')
  t.equal(isReplaced, false)
  handOver()
  await replaced
})

t.test('a replacement that fails leaves the old one in its place', async t => {
  const { supervisor, children, deaths, last, pass } = supervise(1)
  const failed = supervisor.replace(0)
  last().exited('exit status 1')
  await t.rejects(failed, { message: 'exit status 1' })
  const stuck = supervisor.replace(0)
  await t.rejects(supervisor.replace(0), 'one at a time')
  pass(30_000)
  t.equal(last().asked, 'kill')
  last().exited('SIGKILL')
  await t.rejects(stuck, { message: 'SIGKILL' })
  t.equal(children[0]?.asked, 'nothing')
  t.same([children.length, deaths.length], [3, 0])
})

t.test('a child that dies while it is replaced needs no second replacement', async t => {
  const { supervisor, children, deaths, last, timers } = supervise(1)
  const replaced = supervisor.replace(0)
  children[0]?.exited('SIGSEGV')
  t.equal(deaths.length, 1)
  last().ready()
  await replaced
  t.equal(timers.size, 0, 'none is about to be started')
  t.equal(children.length, 2)
})

t.test('a child that does not exit after the hand-over is killed', async t => {
  const { supervisor, children, last, pass } = supervise(1)
  const replaced = supervisor.replace(0)
  last().ready()
  await replaced
  pass(90_000)
  t.equal(children[0]?.asked, 'kill')
  t.equal(last().asked, 'nothing')
})

t.test('a stop waits for children that hand over and for children that are not ready', async t => {
  const { supervisor, children, last } = supervise(2)
  const replaced = supervisor.replace(0)
  last().ready()
  await replaced
  const stopped = supervisor.replace(1)
  const stop = supervisor.stop(5000)
  t.same(
    children.map(({ asked }) => asked),
    ['stop', 'stop', 'stop', 'stop'],
  )
  for (const child of children) child.exited('exit status 0')
  await stop
  await t.rejects(stopped)
})

t.test('frequent replacements stop the oldest children that have handed over', async t => {
  const { children, supervisor } = supervise(1)
  for (let n = 1; n <= 6; n++) {
    const replaced = supervisor.replace(0)
    children[n]?.ready()
    await replaced
  }
  t.same(
    children.map(({ asked }) => asked),
    ['stop', 'stop', 'hand over', 'hand over', 'hand over', 'hand over', 'nothing'],
  )
})
