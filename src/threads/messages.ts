import type { MessagePort } from 'node:worker_threads'
import type { EngineCounters } from '../counters/engine.ts'
import type { UdpCounters } from '../counters/udp.ts'
import type { SharedDeltaRing } from '../engine/delta-ring.ts'
import type { EngineRules, EngineSettings, EngineTables } from '../engine/engine.ts'
import type { ReceiveCalls } from '../frontends/udp/mmsg.ts'
import type { Control } from '../frontends/udp/receive-loop.ts'
import type { UdpRules } from '../frontends/udp/respond.ts'
import type { UdpSocket, UdpSocketOptions } from '../frontends/udp/socket.ts'
import type { ConnectionSecret } from '../protocol/udp/connection-id.ts'

/** Messages between the main thread and its threads. All of them can be cloned. */

/** Start data of an engine thread. */
export type EngineThreadStart = {
  readonly tables: EngineTables
  readonly settings: EngineSettings
  /** Seconds to add to the monotonic clock (clock.ts). */
  readonly clockOffset: number
  readonly index: number
  readonly threads: number
  /** For the announces that other nodes learn of. */
  readonly ring: SharedDeltaRing | undefined
  /** Unix socket to serve links on. */
  readonly socketPath: string
  /** Seconds for one full sweep of the thread's share of the stripes. */
  readonly sweepSeconds: number
  /** One word, which the thread increases while its event loop runs. */
  readonly rounds: Int32Array<SharedArrayBuffer>
  readonly counters: EngineCounters
}

export type ToEngineThread =
  | { readonly type: 'stop' }
  | { readonly type: 'rules'; readonly rules: EngineRules; readonly sweepSeconds: number }
  | { readonly type: 'link'; readonly port: MessagePort }
  /** Workers were marked as dead: the thread must remove their WebSocket peers. */
  | { readonly type: 'workers-died' }
export type FromEngineThread = { readonly type: 'ready' }

/** The source of a UDP thread's datagrams. */
export type UdpSource =
  /** A bound socket, from which a loop receives until `control` interrupts it. */
  | { readonly method: ReceiveCalls; readonly socket: UdpSocket }
  /** An address, on which the thread opens its own sockets through node:dgram. */
  | { readonly method: 'dgram'; readonly options: UdpSocketOptions }

/** Start data of a UDP thread. */
export type UdpThreadStart = {
  readonly name: string
  readonly tables: EngineTables
  readonly clockOffset: number
  readonly secret: ConnectionSecret
  /** For the announces that other nodes learn of. */
  readonly ring: SharedDeltaRing | undefined
  /** Memory of frontends/udp/proven-keys.ts. */
  readonly provenKeys: SharedArrayBuffer
  readonly counters: UdpCounters
  readonly control: Control
  readonly source: UdpSource
  readonly rules: UdpThreadRules
}

/** The rules by which a UDP thread answers. They can change while it runs. */
export type UdpThreadRules = { readonly engine: EngineRules; readonly listener: UdpRules }

export type ToUdpThread =
  | { readonly type: 'rules'; readonly rules: UdpThreadRules }
  | { readonly type: 'stop' }

export type FromUdpThread =
  /** The thread is ready to receive. */
  | { readonly type: 'receiving' }
  /** The rules sent last are in effect. */
  | { readonly type: 'ruled' }
