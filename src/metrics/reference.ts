import { CATALOGUE, type Metric } from './catalogue.ts'

const HEAD = `# Metrics

Printed by \`muster --print-metrics\`.

The API serves these at \`/metrics\`, in Prometheus' text format and behind the API's token; [monitoring](../monitoring/README.md) has the
configuration of a Prometheus, alert rules and a Grafana dashboard. Counts are since the start, and those of workers that died are in
them. Workers tell what they count once a second. A metric is not there where nothing could be told, as those of the database without one.
`

const TAIL = `## Torrust-Actix's names

The same numbers for dashboards that were made for Torrust-Actix: \`{id}_gauge{metric="…"}\` and \`{id}_counter{metric="…"}\`, with
\`{id}\` from \`tracker_config.prometheus_id\`, and the gauges \`{id}_torrents_total\` and \`{id}_peers_total\`. \`/stats\` has them as flat
fields. What is different here:

- \`peers\` are those that do not seed; \`{id}_peers_total\` are all.
- \`tcp4_connections_handled\` counts requests: uWebSockets.js tells of no connections. \`ws4_\` and \`ws6_\` are WebTorrent.
- \`torrents_updates\` counts parts of the tables in which torrents wait to be written: at least as many torrents do. Lists and keys
  never wait.
- \`udp_queue_len\` is in bytes, as the kernel counts what waits in the receive buffers.
- \`timestamp_run_console\` is 0: nothing is printed from time to time.
`

/** Every metric in Markdown. */
export function printMetricsReference(): string {
  const rows = Object.entries(CATALOGUE).map(([name, metric]) => row(name, metric))
  return `${HEAD}\n| name | type | unit | labels | meaning |\n|---|---|---|---|---|\n${rows.join('\n')}\n\n${TAIL}`
}

function row(name: string, { help, labels, type, unit }: Metric): string {
  const named = Object.entries(labels).map(([label, values]) => `\`${label}\`: ${values}`)
  return `| \`${name}\` | ${type} | ${unit} | ${named.join('; ')} | ${help} |`
}
