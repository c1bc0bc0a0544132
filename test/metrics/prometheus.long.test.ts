import t from 'tap'
import { openUdpClient } from '../e2e/fixtures/udp-client.ts'
import { startWithApi, TOKEN } from '../fixtures/admin-client.ts'
import { getBencoded } from '../fixtures/http-client.ts'
import { announceTarget } from '../fixtures/load.ts'
import { missing, startPrometheus } from './fixtures/prometheus.ts'

t.test(
  'a Prometheus with the configuration of the docs scrapes the tracker and answers questions',
  { skip: missing('prometheus') },
  async t => {
    const { tracker } = await startWithApi(t, { frontend: { workers: 2 } })
    const prometheus = await startPrometheus(t, `127.0.0.1:${tracker.port('api')}`, TOKEN)
    for (let n = 0; n < 10; n++) await getBencoded(tracker.url(), announceTarget(n, 1))
    await getBencoded(tracker.url(6), announceTarget(11, 1))
    const client = await openUdpClient(t, '127.0.0.1', tracker.port('udp', '127.0.0.1'))
    await client.announce({ port: 1024 })
    t.same(await prometheus.query('up{job="muster"} == 1'), [1])
    for (const [expression, values] of [
      ['muster_announces_total{proto="http",family="ipv4"} == 10', [10]],
      ['sum(muster_announces_total) == 12', [12]],
      ['sum(muster_peers) == 12', [12]],
      ['muster_workers', [2]],
      ['muster_database_up', [1]],
      ['torrust_actix_counter{metric="udp4_announces_handled"} == 1', [1]],
      ['count(muster_process_resident_memory_bytes > 1e6) == 3', [3]],
    ] as const) {
      t.same(await prometheus.query(expression), values, expression)
    }
    const [seconds = Number.NaN] = await prometheus.query(
      'histogram_quantile(0.99, sum by (le) (muster_link_wait_seconds_bucket)) > 0',
    )
    t.ok(seconds > 0 && seconds < 10)
    const rules = await prometheus.rules()
    t.ok(rules.length > 10)
    t.same(
      rules.filter(({ health }) => health !== 'ok'),
      [],
      'every rule can be evaluated',
    )
    t.same(
      rules.filter(({ state }) => state === 'firing').map(({ name }) => name),
      [],
      'all is well',
    )
  },
)
