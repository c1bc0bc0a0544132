import t from 'tap'
import { assertLayouts } from '../../src/engine/assert-layouts.ts'

t.test('the layouts of the tables agree with each other', async t => {
  t.doesNotThrow(assertLayouts)
})
