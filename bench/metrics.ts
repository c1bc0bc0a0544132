/** Every measured number: its heading, its decimal places and which direction is better. */
export type Metric = {
  readonly title: string
  readonly digits: number
  readonly better: 'more' | 'less' | 'neither'
}

function metric(title: string, digits: number, better: Metric['better']): Metric {
  return { title, digits, better }
}

export const METRICS: Readonly<Record<string, Metric>> = {
  perSecond: metric('requests/s', 0, 'more'),
  udpPerSecond: metric('UDP requests/s', 0, 'more'),
  perCore: metric('requests/s per core', 0, 'more'),
  cpuMicros: metric('CPU µs per request', 2, 'less'),
  primaryMicros: metric('of it primary', 2, 'less'),
  workerMicros: metric('of it workers', 2, 'less'),
  timesBare: metric('CPU × bare', 2, 'less'),
  resumedPercent: metric('resumed %', 1, 'more'),
  nodeMicros: metric('of it the node', 2, 'less'),
  deltaMicros: metric('the other node', 2, 'less'),
  natsMicros: metric('nats-server', 2, 'less'),
  timesAlone: metric('announces/s × alone', 2, 'more'),
  nanos: metric('ns per announce', 0, 'less'),
  nanosEach: metric('ns each', 0, 'less'),
  cpuNanos: metric('CPU ns per record', 0, 'less'),
  bytesAllocated: metric('bytes allocated', 0, 'less'),
  p50: metric('p50 ms', 3, 'less'),
  p99: metric('p99 ms', 3, 'less'),
  p50Micros: metric('p50 µs', 1, 'less'),
  p99Micros: metric('p99 µs', 1, 'less'),
  p99AloneMicros: metric('p99 µs without', 1, 'less'),
  p99Ratio: metric('p99 with / without', 2, 'less'),
  recordsPerFrame: metric('records per frame', 1, 'neither'),
  offered: metric('offered/s', 0, 'neither'),
  expired: metric('peers expired', 0, 'neither'),
  writeSeconds: metric('written in s', 2, 'less'),
  restoreSeconds: metric('restored in s', 2, 'less'),
  heldMaxMicros: metric('stripe held µs, maximum', 0, 'less'),
  heldMicros: metric('stripe held µs, p99', 0, 'less'),
  firstAnswerMillis: metric('first answer ms', 0, 'less'),
  replacedMillis: metric('replaced after ms', 0, 'less'),
  joinSeconds: metric('ready after s', 2, 'less'),
  equalSeconds: metric('equal after s', 2, 'less'),
  lostSeconds: metric('s of announces lost', 3, 'less'),
  peersLost: metric('peers lost', 0, 'less'),
  answeredPercent: metric('honest answers %', 2, 'more'),
  honestPercent: metric('honest peers of answers %', 1, 'more'),
  logLines: metric('log lines', 0, 'less'),
  failedRequests: metric('requests failed', 0, 'less'),
  openConnections: metric('connections open', 0, 'neither'),
  loadSeconds: metric('loaded in s', 2, 'less'),
  peers: metric('peers', 0, 'neither'),
  bytesPerPeer: metric('bytes per peer', 1, 'less'),
  bytesInUse: metric('of them in use', 1, 'less'),
  mibHalf: metric('MiB in the first half', 0, 'less'),
  mib: metric('MiB', 0, 'less'),
  bodyBytes: metric('bytes of an answer', 0, 'neither'),
  lossPercent: metric('lost %', 3, 'less'),
  errors: metric('errors', 0, 'less'),
  generatorBusy: metric('generator busy', 2, 'neither'),
}

/** Formats a number for a table. */
export function written(name: string, value: number): string {
  return Number.isFinite(value) ? value.toFixed(METRICS[name]?.digits ?? 2) : ''
}
