import t from 'tap'
import { chooseBackend, loadBackend } from '../../../src/frontends/backends/choose.ts'
import { loadUws } from '../../../src/frontends/backends/uws.ts'

/** Why no native build loads in this process; undefined when one does. */
function whyNotNative(): string | undefined {
  try {
    loadUws()
    return undefined
  } catch (error) {
    return (error as Error).message
  }
}

t.test(
  'auto selects the native build where it loads, and otherwise node:http with the reason',
  async t => {
    const reason = whyNotNative()
    t.same(chooseBackend('auto'), { backend: reason === undefined ? 'uws' : 'node', reason })
    t.same(chooseBackend('node'), { backend: 'node', reason: undefined })
    t.equal(loadBackend('node').name, 'node')
  },
)

t.test('uws is refused where it does not load', async t => {
  const reason = whyNotNative()
  if (reason === undefined) t.same(chooseBackend('uws'), { backend: 'uws', reason })
  else t.throws(() => chooseBackend('uws'), { message: reason })
})
