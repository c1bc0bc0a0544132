import t from 'tap'
import { createDeadWorkers, isDead, openDeadWorkers } from '../../src/engine/dead-workers.ts'
import { WORKER_IDS } from '../../src/protocol/connection.ts'
import { createWorkerNumbers } from '../../src/serving/worker-ids.ts'

t.test('two processes never share a number, and a dead one is marked', async t => {
  const workers = openDeadWorkers(createDeadWorkers())
  let passes = 0
  const numbers = createWorkerNumbers(workers, () => passes++)
  const first = numbers.next()
  const second = numbers.next()
  t.not(first, second)
  t.notOk(isDead(workers, second))
  numbers.release(second)
  t.ok(isDead(workers, second))
  t.notOk(isDead(workers, first))
  t.equal(passes, 1)
  const later = new Set<number>()
  for (let n = 0; n < WORKER_IDS; n++) {
    const number = numbers.next()
    later.add(number)
    numbers.release(number)
  }
  t.notOk(later.has(first), 'it still runs')
  t.notOk(later.has(0), 'that is a process without workers')
  t.ok(later.has(second), 'numbers are given again')
})
