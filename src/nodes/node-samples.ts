import type { Samples } from '../metrics/samples.ts'
import type { NodesState } from './messages.ts'

/** Adds the metrics of the nodes. */
export function collectNodes(samples: Samples, state: NodesState): void {
  const { counters, nodes } = state
  samples.add('muster_nodes_connected', state.connected ? 1 : 0)
  samples.add('muster_nodes_joined', state.joined ? 1 : 0)
  samples.add('muster_nodes_backlog_bytes', state.backlogBytes)
  samples.add('muster_nodes_connections_total', counters.connections)
  samples.add('muster_nodes_batches_total', counters.sentBatches, { direction: 'sent' })
  samples.add('muster_nodes_batches_total', counters.receivedBatches, { direction: 'received' })
  samples.add('muster_nodes_refused_batches_total', counters.refusedBatches)
  samples.add('muster_nodes_deltas_total', counters.sentDeltas, { result: 'sent' })
  samples.add('muster_nodes_deltas_total', counters.appliedDeltas, { result: 'applied' })
  samples.add('muster_nodes_deltas_total', counters.olderDeltas, { result: 'older' })
  samples.add('muster_nodes_deltas_total', counters.expiredDeltas, { result: 'expired' })
  samples.add('muster_nodes_dropped_total', counters.droppedDeltas)
  samples.add('muster_nodes_skipped_total', counters.skippedDeltas)
  samples.add('muster_nodes_expiries_total', counters.sentExpiries)
  samples.add('muster_nodes_gaps_total', counters.gaps)
  samples.add('muster_nodes_transfers_total', counters.transfers, { result: 'complete' })
  samples.add('muster_nodes_transfers_total', counters.failedTransfers, { result: 'failed' })
  samples.add('muster_nodes_relayed_total', counters.sentRelays, { direction: 'sent' })
  samples.add('muster_nodes_relayed_total', counters.receivedRelays, { direction: 'received' })
  for (const reason of ['unreachable', 'excess', 'refused'] as const) {
    samples.add('muster_nodes_relay_dropped_total', counters[`${reason}Relays` as const], {
      reason,
    })
  }
  for (const node of nodes) {
    const labels = { node: node.name }
    samples.add('muster_nodes_up', node.up ? 1 : 0, labels)
    samples.add('muster_nodes_lag_seconds', node.lag, labels)
    samples.add('muster_nodes_clock_seconds', node.clock, labels)
    samples.add('muster_nodes_settings_differ', node.differs ? 1 : 0, labels)
  }
}
