import { EngineCounter, type EngineCounters, frameSeconds } from '../counters/engine.ts'
import {
  addCounts,
  type Histogram,
  histogramLength,
  SECONDS_BOUNDS,
} from '../counters/histogram.ts'
import { batchSeconds, sumUdpCounters, sumUdpFailures, type UdpCounters } from '../counters/udp.ts'
import { FAMILY_LABELS, type Samples, snakeCase } from '../metrics/samples.ts'
import { readUdpSockets } from '../native/proc-net-udp.ts'
import { Failure } from '../protocol/failures.ts'

const UDP_OUTCOMES = [
  'connect',
  'announce',
  'scrape',
  'error',
  'badConnectionId',
  'garbage',
  'truncated',
] as const

/** Adds the counts of the engine threads. */
export function collectEngineThreads(samples: Samples, threads: readonly EngineCounters[]): void {
  const frames = sumOf(threads.map(frameSeconds))
  samples.addHistogram('muster_engine_frame_seconds', frames, SECONDS_BOUNDS)
  for (const [n, counters] of threads.entries()) {
    const labels = { thread: `engine-${n}` }
    const of = (counter: EngineCounter) => counters[counter] as number
    samples.add('muster_sweep_busy_seconds_total', of(EngineCounter.sweepBusy), labels)
    samples.add('muster_sweep_pass_seconds', of(EngineCounter.sweepPass), labels)
    samples.add('muster_sweep_pass_timestamp_seconds', of(EngineCounter.sweepEnded), labels)
  }
}

/** Adds the counts of the UDP threads, and those of the kernel for sockets on `ports`. */
export function collectUdpThreads(
  samples: Samples,
  threads: readonly UdpCounters[],
  ports: ReadonlySet<number>,
): void {
  const sums = sumUdpCounters(threads)
  const sockets = readUdpSockets(ports)
  const proto = 'udp'
  for (const [family, f] of FAMILY_LABELS) {
    samples.add('muster_announces_total', sums.announce[f], { proto, family })
    samples.add('muster_scrapes_total', sums.scrape[f], { proto, family })
    for (const outcome of UDP_OUTCOMES) {
      const labels = { family, outcome: snakeCase(outcome) }
      samples.add('muster_udp_datagrams_total', sums[outcome][f], labels)
    }
    samples.add('muster_udp_received_total', sums.received[f], { family })
    samples.add('muster_udp_sent_total', sums.sent[f], { family })
    samples.add('muster_udp_send_failures_total', sums.sendFailed[f], { family })
    samples.add('muster_udp_receive_failures_total', sums.receiveFailed[f], { family })
    if (!sockets) continue
    samples.add('muster_udp_dropped_total', sockets.dropped[f], { family })
    samples.add('muster_udp_receive_queue_bytes', sockets.queuedBytes[f], { family })
  }
  for (const [name, code] of Object.entries(Failure)) {
    if (code === Failure.none) continue
    const counts = sumUdpFailures(threads, code)
    for (const [family, f] of FAMILY_LABELS) {
      samples.add('muster_failures_total', counts[f], { proto, family, reason: snakeCase(name) })
    }
  }
  const batches = sumOf(threads.map(batchSeconds))
  samples.addHistogram('muster_udp_batch_seconds', batches, SECONDS_BOUNDS)
}

function sumOf(histograms: readonly Histogram[]): Histogram {
  const sum = new Float64Array(histogramLength(SECONDS_BOUNDS))
  for (const histogram of histograms) addCounts(sum, histogram)
  return sum
}
