import t from 'tap'
import {
  addCounts,
  COUNT_BOUNDS,
  histogramLength,
  observe,
  SECONDS_BOUNDS,
} from '../../src/counters/histogram.ts'

t.test('a value falls in the first bucket whose bound it does not exceed', async t => {
  const bounds = [1, 2, 4]
  const histogram = new Float64Array(histogramLength(bounds))
  for (const value of [0, 1, 1.5, 2, 4, 5]) observe(histogram, bounds, value)
  observe(histogram, bounds, 3, 10)
  t.same([...histogram], [43.5, 2, 2, 11, 1])
})

t.test('bounds are in ascending order', async t => {
  for (const bounds of [SECONDS_BOUNDS, COUNT_BOUNDS])
    t.same(
      bounds,
      [...new Set(bounds)].sort((a, b) => a - b),
    )
})

t.test('histograms are added number by number', async t => {
  const sum = Float64Array.of(1, 2, 3)
  addCounts(sum, Float64Array.of(10, 0, 1))
  t.same([...sum], [11, 2, 4])
})
