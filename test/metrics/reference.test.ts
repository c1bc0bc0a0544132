import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { CATALOGUE, type Metric } from '../../src/metrics/catalogue.ts'
import { printMetricsReference } from '../../src/metrics/reference.ts'
import { repositoryRoot } from '../fixtures/repository-root.ts'

t.test('the reference is what the program prints, and has every metric', async t => {
  const text = readFileSync(join(repositoryRoot(), 'docs/reference/metrics.md'), 'utf8')
  t.equal(text, printMetricsReference())
  for (const name of Object.keys(CATALOGUE)) t.match(text, `| \`${name}\` |`)
})

t.test('names follow the conventions of Prometheus', async t => {
  for (const [name, { type, unit }] of Object.entries<Metric>(CATALOGUE)) {
    t.equal(name.endsWith('_total'), type === 'counter', `${name} is a ${type}`)
    for (const base of ['seconds', 'bytes'])
      if (unit === base) t.match(name.replace(/_total$/, ''), new RegExp(`_${base}$`), name)
  }
})
