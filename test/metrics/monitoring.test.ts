import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { CATALOGUE, type MetricName } from '../../src/metrics/catalogue.ts'
import { repositoryRoot } from '../fixtures/repository-root.ts'
import { missing } from './fixtures/prometheus.ts'

const folder = join(repositoryRoot(), 'docs/monitoring')
const read = (file: string) => readFileSync(join(folder, file), 'utf8')

/** The names of muster's metrics in an expression; those of a histogram's parts are its own. */
function metricsOf(expression: string): string[] {
  return [...expression.matchAll(/\bmuster_[a-z0-9_]+/g)].map(([name]) => {
    const whole = name.replace(/_(bucket|sum|count)$/, '') as MetricName
    return CATALOGUE[whole]?.type === 'histogram' ? whole : name
  })
}

t.test('the dashboard is complete and uses only existing metrics', async t => {
  const { panels } = JSON.parse(read('grafana.json')) as {
    panels: {
      id: number
      title: string
      gridPos: { x: number; y: number; w: number; h: number }
      targets: { expr: string; refId: string }[]
    }[]
  }
  t.equal(new Set(panels.map(({ id }) => id)).size, panels.length)
  const shown = new Set<string>()
  const places = new Set<string>()
  for (const { gridPos, targets, title } of panels) {
    t.ok(gridPos.x + gridPos.w <= 24, title)
    for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++) {
      for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
        if (places.has(`${x} ${y}`)) t.fail(`${title} lies on another`)
        places.add(`${x} ${y}`)
      }
    }
    t.equal(new Set(targets.map(({ refId }) => refId)).size, targets.length, title)
    for (const { expr } of targets) {
      const names = metricsOf(expr)
      t.ok(names.length > 0, `${title}: ${expr}`)
      for (const name of names) {
        if (!(name in CATALOGUE)) t.fail(`${title}: there is no ${name}`)
        shown.add(name)
      }
    }
  }
  for (const name of ['muster_peers', 'muster_database_up', 'muster_link_wait_seconds'])
    t.ok(shown.has(name), name)
})

t.test('alert rules and examples name existing metrics', async t => {
  for (const file of ['alerts.yml', 'README.md']) {
    const names = metricsOf(read(file))
    t.ok(names.length > 3, file)
    for (const name of names) if (!(name in CATALOGUE)) t.fail(`${file}: there is no ${name}`)
  }
  const alerts = [...read('alerts.yml').matchAll(/alert: (\w+)/g)].map(([, name]) => name)
  t.equal(new Set(alerts).size, alerts.length)
})

t.test('promtool accepts the rules', { skip: missing('promtool') }, async t => {
  const { status, stderr, stdout } = spawnSync(
    'promtool',
    ['check', 'rules', join(folder, 'alerts.yml')],
    { encoding: 'utf8' },
  )
  t.equal(status, 0, stdout + stderr)
})
