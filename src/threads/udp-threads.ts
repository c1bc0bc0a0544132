import { Worker } from 'node:worker_threads'
import { createUdpCounters, type UdpCounters } from '../counters/udp.ts'
import type { SharedDeltaRing } from '../engine/delta-ring.ts'
import type { EngineRules, EngineSettings, EngineTables } from '../engine/engine.ts'
import { unavailableError } from '../errors.ts'
import { checkMmsg, type ReceiveCalls } from '../frontends/udp/mmsg.ts'
import { createProvenKeys } from '../frontends/udp/proven-keys.ts'
import { type Control, createControl, interrupt, roundsOf } from '../frontends/udp/receive-loop.ts'
import {
  closeUdpSocket,
  isWildcardAddress,
  openUdpSocket,
  setDontFragment,
  type UdpSocket,
} from '../frontends/udp/socket.ts'
import type { Part } from '../lifecycle.ts'
import type { Logger } from '../log.ts'
import { openLibc, tryLibc } from '../native/libc.ts'
import { Family } from '../protocol/records.ts'
import { type ConnectionSecret, createConnectionSecret } from '../protocol/udp/connection-id.ts'
import { threadUrl } from '../thread-url.ts'
import { THREAD_HEAP } from '../young-generation.ts'
import type { FromUdpThread, ToUdpThread, UdpThreadRules, UdpThreadStart } from './messages.ts'
import { collectUdpThreads } from './thread-samples.ts'
import type { UdpListener } from './udp-listeners.ts'
import type { WatchedThread } from './watchdog.ts'

export type UdpThreadsOptions = {
  readonly listeners: readonly UdpListener[]
  readonly tables: EngineTables
  readonly settings: EngineSettings
  readonly clockOffset: number
  /** One for each thread where there are other nodes, else none. */
  readonly rings?: readonly SharedDeltaRing[]
  /** Secret that all nodes share; "" makes a key of this process. */
  readonly nodesSecret?: string
  readonly log: Logger
  /** Called when a thread ends without being stopped: it may have held a lock. */
  readonly died: (name: string, error: unknown) => void
}

export type UdpThreads = Part & {
  /** Counters of each thread. */
  readonly counters: readonly UdpCounters[]
  readonly watched: readonly WatchedThread[]
  /**
   * Applies the rules of `listeners`, which are those of the start in the same order, to the
   * running threads. Resolves when the rules are in effect. No datagram is lost.
   */
  setRules(listeners: readonly UdpListener[], rules: EngineRules): Promise<void>
}

/**
 * Opens every UDP socket in the calling thread, where an error reaches the operator, and starts the
 * threads that receive on them. Throws an OperatorError with EX_UNAVAILABLE.
 */
export async function startUdpThreads(options: UdpThreadsOptions): Promise<UdpThreads> {
  const { listeners, log } = options
  const threads: UdpThread[] = []
  let stopped: Promise<void> | undefined
  /** Stops once: the kernel reuses the number of a closed descriptor. */
  const stop = () => {
    stopped ??= Promise.all(threads.map(thread => thread.stop())).then(() => {})
    return stopped
  }
  const methods = receiveMethods(listeners, log)
  try {
    openThreads(options, methods, threads)
    await Promise.all(threads.map(thread => thread.receiving))
  } catch (error) {
    await stop()
    throw error
  }
  for (const [n, { host, port }] of listeners.entries()) {
    const count = threads.filter(thread => thread.n === n).length
    log.info(
      { server: 'udp', address: host, port, method: methods[n], threads: count },
      'listening',
    )
  }
  const counters = threads.map(thread => thread.counters)
  const ports = new Set(listeners.map(({ port }) => port))
  return {
    counters,
    collect: samples => collectUdpThreads(samples, counters, ports),
    watched: threads.map(({ control, name }) => ({ name, rounds: () => roundsOf(control) })),
    async setRules(wanted, rules) {
      if (stopped) return
      await Promise.all(threads.map(thread => thread.setRules(wanted[thread.n], rules)))
    },
    stop,
  }
}

/** Adds the threads of all listeners to `threads`, one by one. Throws an OperatorError. */
function openThreads(
  options: UdpThreadsOptions,
  methods: readonly Method[],
  threads: UdpThread[],
): void {
  const { listeners, log, settings, tables } = options
  const secret = createConnectionSecret(options.nodesSecret)
  const provenKeys = createProvenKeys()
  const engine: EngineRules = { settings, access: tables.access.rules }
  for (const [n, listener] of listeners.entries()) {
    const method = methods[n] ?? 'dgram'
    const count = method === 'dgram' ? 1 : listener.threads
    for (let opened = 0; opened < count; opened++) {
      const socket = method === 'dgram' ? undefined : open(listener)
      if (socket && opened === 0) logSmallBuffer(listener, socket, log)
      const name = `udp-${threads.length}`
      const ring = options.rings?.[threads.length]
      threads.push(
        new UdpThread({
          name,
          listener,
          n,
          ring,
          method,
          socket,
          secret,
          provenKeys,
          engine,
          options,
        }),
      )
    }
  }
}

type UdpThreadOptions = {
  readonly name: string
  readonly listener: UdpListener
  /** Index of the listener. */
  readonly n: number
  readonly ring: SharedDeltaRing | undefined
  readonly method: Method
  /** Undefined for dgram, which opens its own socket. */
  readonly socket: UdpSocket | undefined
  readonly secret: ConnectionSecret
  readonly provenKeys: SharedArrayBuffer
  readonly engine: EngineRules
  readonly options: UdpThreadsOptions
}

/** A thread, and the socket that it receives on. */
class UdpThread {
  readonly name: string
  readonly n: number
  readonly counters: UdpCounters = createUdpCounters()
  readonly control: Control = createControl()
  /** Resolves when the thread receives; rejects with an OperatorError where it cannot. */
  readonly receiving: Promise<void>
  readonly #socket: UdpSocket | undefined
  readonly #worker: Worker
  readonly #ended: Promise<void>
  #isStopping = false
  #isReceiving = false
  /** Resolves the calls of `setRules`, in order. */
  readonly #ruled: (() => void)[] = []

  constructor(start: UdpThreadOptions) {
    const { engine, listener, method, n, name, options, provenKeys, secret, socket } = start
    this.name = name
    this.n = n
    this.#socket = socket
    const workerData: UdpThreadStart = {
      name,
      tables: options.tables,
      clockOffset: options.clockOffset,
      secret,
      ring: start.ring,
      provenKeys,
      counters: this.counters,
      control: this.control,
      source:
        method === 'dgram' || !socket ? { method: 'dgram', options: listener } : { method, socket },
      rules: { engine, listener: listener.rules },
    }
    const worker = new Worker(threadUrl('./udp-thread', import.meta.url), {
      workerData,
      name,
      resourceLimits: THREAD_HEAP,
    })
    this.#worker = worker
    let reason: unknown
    worker.on('error', error => {
      reason = error
    })
    this.receiving = new Promise((resolve, reject) => {
      worker.on('message', (message: FromUdpThread) => {
        if (message.type === 'ruled') this.#ruled.shift()?.()
        else {
          this.#isReceiving = true
          resolve()
        }
      })
      worker.once('exit', () => {
        if (!this.#isReceiving) reject(cannotListen(listener, reason))
      })
    })
    this.#ended = new Promise(resolve => {
      worker.once('exit', () => {
        if (this.#isReceiving && !this.#isStopping) options.died(name, reason)
        for (const ruled of this.#ruled) ruled()
        resolve()
      })
    })
  }

  setRules(listener: UdpListener | undefined, engine: EngineRules): Promise<void> {
    if (!listener) return Promise.resolve()
    if (this.#socket?.family === Family.ipv4) {
      setDontFragment(this.#socket.fd, listener.dontFragment === true)
    }
    const rules: UdpThreadRules = { engine, listener: listener.rules }
    return new Promise(resolve => {
      this.#ruled.push(resolve)
      this.#post({ type: 'rules', rules })
    })
  }

  async stop(): Promise<void> {
    this.#isStopping = true
    this.#post({ type: 'stop' })
    await this.#ended
    if (this.#socket) closeUdpSocket(this.#socket)
  }

  #post(message: ToUdpThread): void {
    this.#worker.postMessage(message)
    interrupt(this.control)
  }
}

function open(listener: UdpListener): UdpSocket {
  try {
    return openUdpSocket(listener)
  } catch (error) {
    throw cannotListen(listener, error)
  }
}

function cannotListen({ host, port }: UdpListener, error: unknown): Error {
  const reason = error instanceof Error ? error.message : 'its thread has ended'
  return unavailableError(`cannot listen on ${host} port ${port} for UDP: ${reason}`)
}

type Method = ReceiveCalls | 'dgram'

/**
 * The method of each listener on this machine. If `auto` does not choose recvmmsg, one warning
 * contains the reason. dgram on a wildcard address becomes recvmsg where that can be called:
 * node:dgram does not report the address that a datagram was sent to, but the answer must leave
 * from it.
 */
function receiveMethods(listeners: readonly UdpListener[], log: Logger): Method[] {
  const fallback = tryLibc() ? 'recvmsg' : 'dgram'
  const dgram = ({ host }: UdpListener) => (isWildcardAddress(host) ? fallback : 'dgram')
  const reason = whyNot(checkMmsg)
  if (reason !== undefined) {
    if (listeners.some(({ method }) => method === 'recvmmsg')) {
      throw unavailableError(`udp_server.receive_method: recvmmsg is not available: ${reason}`)
    }
    if (listeners.some(({ method }) => method === 'auto')) {
      log.warn(
        { reason, method: fallback },
        'recvmmsg is not available; UDP datagrams are received one by one',
      )
    }
  }
  if (listeners.some(({ method }) => method === 'recvmsg')) {
    const missing = whyNot(openLibc)
    if (missing !== undefined) {
      throw unavailableError(`udp_server.receive_method: recvmsg is not available: ${missing}`)
    }
  }
  return listeners.map(listener => {
    if (listener.method === 'dgram') return dgram(listener)
    if (listener.method === 'auto') return reason === undefined ? 'recvmmsg' : fallback
    return listener.method
  })
}

/** The message of the error that `check` throws; undefined if it does not throw. */
function whyNot(check: () => unknown): string | undefined {
  try {
    check()
    return undefined
  } catch (error) {
    return (error as Error).message
  }
}

function logSmallBuffer(listener: UdpListener, socket: UdpSocket, log: Logger): void {
  const { receiveBufferBytes: wanted } = listener
  const granted = socket.receiveBufferBytes
  if (granted >= wanted) return
  log.info(
    { wanted_bytes: wanted, granted_bytes: granted, address: listener.host },
    'the kernel grants a smaller receive buffer: raise net.core.rmem_max',
  )
}
