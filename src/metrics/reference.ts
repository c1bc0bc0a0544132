import { CATALOGUE, type Metric } from './catalogue.ts'

const HEAD = `# Metrics

Printed by \`muster --print-metrics\`.

The API serves these at \`/metrics\` in Prometheus' text format, behind the API's token.
[Monitoring](../monitoring/README.md) has a Prometheus configuration, alert rules and a Grafana
dashboard. Counters start at 0 with the tracker, and include the counts of workers that died.
Workers report their counters once a second. A metric without a value is absent, such as those of
the database without a database.
`

const TAIL = `## Torrust-Actix's names

The same values for dashboards that were made for Torrust-Actix: \`{id}_gauge{metric="…"}\` and
\`{id}_counter{metric="…"}\`, with \`{id}\` from \`tracker_config.prometheus_id\`, and the gauges
\`{id}_torrents_total\` and \`{id}_peers_total\`. \`/stats\` has them as flat fields. Differences:

- \`peers\` are leechers; \`{id}_peers_total\` counts all peers.
- \`tcp4_connections_handled\` counts requests, because uWebSockets.js does not report connections.
  \`ws4_\` and \`ws6_\` are WebTorrent.
- \`torrents_updates\` counts stripes of the tables in which torrents wait to be written. Lists and
  keys never wait.
- \`udp_queue_len\` is the size in bytes of the datagrams in the kernel's receive buffers.
- \`timestamp_run_console\` is always 0.
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
