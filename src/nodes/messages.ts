import type { SharedDeltaRing } from '../engine/delta-ring.ts'
import type { EngineRules, EngineSettings, EngineTables } from '../engine/engine.ts'
import type { NatsOptions } from './nats.ts'

/** Messages between the main thread and the nodes thread. All of them can be cloned. */

/** The start of the nodes thread. */
export type NodesThreadStart = {
  readonly tables: EngineTables
  readonly settings: EngineSettings
  /** Seconds to add to the monotonic clock (clock.ts). */
  readonly clockOffset: number
  readonly rings: readonly SharedDeltaRing[]
  /** Folder of the sockets between workers. */
  readonly folder: string
  readonly nats: NatsOptions
  readonly cluster: string
  /** Name of this node. */
  readonly name: string
  readonly version: string
  readonly backlogBytesMax: number
  readonly joinSeconds: number
  readonly leases: boolean
  /** Digest of the settings that all nodes should share. */
  readonly digest: string
  /** One word, to which the thread adds as long as its event loop turns. */
  readonly rounds: Int32Array<SharedArrayBuffer>
}

export type ToNodesThread =
  /** The last snapshot is restored; `since` is its Unix second, 0 where there is none. */
  | { readonly type: 'restored'; readonly since: number }
  | { readonly type: 'rules'; readonly rules: EngineRules; readonly digest: string }
  /** An administrative change for the other nodes. */
  | { readonly type: 'change'; readonly change: Uint8Array }
  | { readonly type: 'stop' }

/** A node as the main thread shows it. */
export type NodeState = {
  readonly name: string
  readonly version: string
  readonly up: boolean
  readonly joined: boolean
  /** Seconds that its last batch was under way, and that its clock is ahead. */
  readonly lag: number
  readonly clock: number
  readonly peers: number
  readonly torrents: number
  /** Announces per second that it receives. */
  readonly rate: number
  /** Whether settings differ from those of this node. */
  readonly differs: boolean
  readonly refused: number
}

export const NODE_COUNTERS = [
  'sentDeltas',
  'sentBatches',
  'droppedDeltas',
  // Announces that leases left out, and reported timeouts of this node's peers.
  'skippedDeltas',
  'sentExpiries',
  'appliedDeltas',
  'olderDeltas',
  'expiredDeltas',
  'receivedBatches',
  'refusedBatches',
  'gaps',
  'transfers',
  'failedTransfers',
  'connections',
  // Offers and answers of WebSocket peers. The last three are dropped ones: their node is
  // unreachable, they exceed a rate, or they are too large, malformed or of another version.
  'sentRelays',
  'receivedRelays',
  'unreachableRelays',
  'excessRelays',
  'refusedRelays',
] as const
export type NodeCounter = (typeof NODE_COUNTERS)[number]
export type NodeCounters = Record<NodeCounter, number>

export type NodesState = {
  readonly connected: boolean
  readonly joined: boolean
  readonly backlogBytes: number
  readonly rate: number
  readonly counters: NodeCounters
  readonly nodes: readonly NodeState[]
}

/** A line for the log, which the main thread writes. */
type LogMessage = {
  readonly type: 'log'
  readonly level: 'info' | 'warn' | 'error'
  readonly fields: object
  readonly message: string
}
export type Log = (level: LogMessage['level'], fields: object, message: string) => void

export type FromNodesThread =
  | { readonly type: 'state'; readonly state: NodesState }
  | LogMessage
  /** An administrative change that another node made. */
  | { readonly type: 'change'; readonly change: Uint8Array }
  /** Changes may have been missed: lists, keys and users are to be read again. */
  | { readonly type: 'missed' }
