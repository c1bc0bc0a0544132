import { AggregatorRegistry } from 'prom-client'
import { CATALOGUE, type Metric, type MetricName } from './catalogue.ts'
import { collectSamples, type Sample } from './samples.ts'
import type { MetricSources } from './sources.ts'
import { counted, flatStats, momentary } from './torrust-actix.ts'

export type Metrics = {
  /** Prometheus' text format. */
  text(): Promise<string>
  /** The same numbers by the names of Torrust-Actix's `/stats`. */
  stats(): Readonly<Record<string, number | boolean>>
}

/** Reads every source when it is asked, and keeps nothing. */
export function createMetrics(sources: MetricSources): Metrics {
  return {
    text() {
      const samples = collectSamples(sources)
      const own = (Object.entries(CATALOGUE) as [MetricName, Metric][]).flatMap(
        ([name, metric]) => {
          const values = samples.get(name)
          return values ? [exposition(name, metric.type, metric.help, values)] : []
        },
      )
      // Counts come ready made, from shared memory and from other processes; the registry's part is to write them.
      return AggregatorRegistry.aggregate([[...own, ...originals(sources)]]).metrics()
    },
    stats: () => flatStats(sources),
  }
}

function exposition(
  name: string,
  type: Metric['type'],
  help: string,
  values: readonly Sample[],
): object {
  return { name, type, help, values, aggregator: 'first' }
}

/** What Torrust-Actix serves, by its names. */
function originals(sources: MetricSources): object[] {
  const { prometheusId: id } = sources
  const now = momentary(sources)
  const labelled = (values: Readonly<Record<string, number>>) =>
    Object.entries(values).map(([metric, value]) => ({ labels: { metric }, value }))
  const single = (value: number) => [{ labels: {}, value }]
  return [
    exposition(
      `${id}_gauge`,
      'gauge',
      'Numbers of this moment, as Torrust-Actix names them.',
      labelled(now),
    ),
    exposition(
      `${id}_counter`,
      'counter',
      'Counts since the start, as Torrust-Actix names them.',
      labelled(counted(sources)),
    ),
    exposition(`${id}_torrents_total`, 'gauge', 'Torrents that are tracked.', single(now.torrents)),
    exposition(
      `${id}_peers_total`,
      'gauge',
      'Peers of all torrents.',
      single(now.seeds + now.peers),
    ),
  ]
}
