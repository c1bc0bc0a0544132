import t from 'tap'
import { createParts } from '../src/lifecycle.ts'

t.test('components are stopped one after the other, the last one first', async t => {
  const parts = createParts()
  const order: string[] = []
  for (const name of ['engine', 'workers']) {
    parts.add({
      async stop() {
        order.push(`${name} stops`)
        await new Promise(resolve => setImmediate(resolve))
        order.push(`${name} stopped`)
      },
    })
  }
  t.notOk(parts.stopping)
  const stop = parts.stop()
  t.ok(parts.stopping, 'known at once, so that nothing more is started')
  await stop
  t.same(order, ['workers stops', 'workers stopped', 'engine stops', 'engine stopped'])
  await parts.stop()
  t.equal(order.length, 4, 'a second stop finds nothing')
})

t.test('components that would outlive the process are killed, and threads are not', async t => {
  const parts = createParts()
  const killed: string[] = []
  parts.add({ stop: async () => {} })
  parts.add({ stop: async () => {}, kill: () => killed.push('workers') })
  parts.kill()
  t.same(killed, ['workers'])
})

t.test('a component that does not stop can still be killed', async t => {
  const parts = createParts()
  const killed: string[] = []
  let finishStop = () => {}
  parts.add({ stop: async () => {}, kill: () => killed.push('first') })
  parts.add({
    stop: () =>
      new Promise<void>(resolve => {
        finishStop = resolve
      }),
    kill: () => {
      killed.push('hanging')
      finishStop()
    },
  })
  const stop = parts.stop()
  parts.kill()
  await stop
  t.same(killed.sort(), ['first', 'hanging'])
  parts.kill()
  t.equal(killed.length, 2, 'what has stopped is not killed any more')
})

t.test('all are ready once they are started and healthy', async t => {
  const parts = createParts()
  let isHealthy = true
  parts.add({ stop: async () => {}, isHealthy: () => isHealthy })
  t.notOk(parts.isReady, 'more is to be started')
  parts.ready()
  t.ok(parts.isReady)
  isHealthy = false
  t.notOk(parts.isReady)
  isHealthy = true
  parts.throwIfStopping()
  await parts.stop()
  t.notOk(parts.isReady)
  t.throws(() => parts.throwIfStopping(), /being stopped/)
})

t.test('the exit status names a loss, whatever stops after it', async t => {
  const parts = createParts()
  parts.add({ stop: async () => {} })
  parts.add({ stop: async () => 69 })
  parts.add({ stop: async () => 0 })
  t.equal(await parts.stop(), 69)
})
