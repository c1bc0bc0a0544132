import { CATALOGUE, type Metric, type MetricName } from './catalogue.ts'
import type { Sample, Samples } from './samples.ts'
import { counters, gauges } from './torrust-actix.ts'

/**
 * The samples in Prometheus' text format: muster's metrics in the order of the catalogue, then
 * those of Torrust-Actix, whose names begin with `prometheusId`.
 */
export async function renderMetrics(samples: Samples, prometheusId: string): Promise<string> {
  const own = (Object.entries(CATALOGUE) as [MetricName, Metric][]).flatMap(([name, metric]) => {
    const lines = samples.linesOf(name)
    return lines ? [exposition(name, metric.type, metric.help, lines)] : []
  })
  // Loaded by the first scrape: the library takes a tenth of the time of a start.
  const { AggregatorRegistry } = await import('prom-client')
  // The counts come complete from shared memory and other processes; the registry formats them.
  return AggregatorRegistry.aggregate([[...own, ...torrustActix(samples, prometheusId)]]).metrics()
}

function torrustActix(samples: Samples, id: string): object[] {
  const now = gauges(samples)
  const labelled = (values: Readonly<Record<string, number>>) =>
    Object.entries(values).map(([metric, value]) => ({ labels: { metric }, value }))
  const single = (value: number) => [{ labels: {}, value }]
  return [
    exposition(
      `${id}_gauge`,
      'gauge',
      'Current values under the names of Torrust-Actix.',
      labelled(now),
    ),
    exposition(
      `${id}_counter`,
      'counter',
      'Counts since the start under the names of Torrust-Actix.',
      labelled(counters(samples)),
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

function exposition(
  name: string,
  type: Metric['type'],
  help: string,
  values: readonly Sample[],
): object {
  return { name, type, help, values, aggregator: 'first' }
}
