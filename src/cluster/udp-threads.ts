import { Worker } from 'node:worker_threads'
import type { EngineSettings, EngineTables } from '../engine/engine.ts'
import { unavailableError } from '../errors.ts'
import { createConnectionSecret } from '../frontends/udp/connection-id.ts'
import { createUdpCounters, type UdpCounters } from '../frontends/udp/counters.ts'
import { openLibc } from '../frontends/udp/libc.ts'
import { type Control, createControl, roundsOf, stopLoops } from '../frontends/udp/receive-loop.ts'
import { closeUdpSocket, openUdpSocket, type UdpSocket } from '../frontends/udp/socket.ts'
import type { Logger } from '../log.ts'
import { threadUrl } from '../thread-url.ts'
import type { UdpListener } from './listeners.ts'
import type { UdpThreadStart } from './messages.ts'
import type { Part } from './parts.ts'
import type { WatchedThread } from './watchdog.ts'

export type UdpThreadsOptions = {
  readonly listeners: readonly UdpListener[]
  readonly tables: EngineTables
  readonly settings: EngineSettings
  readonly clockOffset: number
  readonly log: Logger
  /** Called when a thread ends that was not stopped: it may have held a lock. */
  readonly died: (name: string, error: unknown) => void
}

export type UdpThreads = Part & {
  /** One for each thread, counting. */
  readonly counters: readonly UdpCounters[]
  readonly watched: readonly WatchedThread[]
}

/**
 * Opens every UDP socket, in this thread, where an error reaches the operator, and starts the threads that receive on them. Throws an
 * OperatorError with EX_UNAVAILABLE.
 */
export async function startUdpThreads(options: UdpThreadsOptions): Promise<UdpThreads> {
  const { log } = options
  const secret = createConnectionSecret()
  const sockets: UdpSocket[] = []
  const allCounters: UdpCounters[] = []
  const controls: Control[] = []
  const threads: { worker: Worker; gone: Promise<void> }[] = []
  let stopping = false

  /** Resolves when the thread receives; a socket of ours is bound before it starts, and so loses nothing. */
  function startThread(listener: UdpListener, socket: UdpSocket | undefined): Promise<void> {
    const name = `udp-${threads.length}`
    const { tables, settings, clockOffset } = options
    const { rules, pathRules, trustedProxies, host, port, receiveBufferBytes, sendBufferBytes } =
      listener
    const dgram = { host, port, receiveBufferBytes, sendBufferBytes }
    const counters = createUdpCounters()
    allCounters.push(counters)
    const control = createControl()
    controls.push(control)
    const workerData: UdpThreadStart = {
      tables,
      settings,
      clockOffset,
      rules,
      pathRules,
      secret,
      counters,
      trustedProxies,
      socket,
      control,
      dgram,
    }
    const worker = new Worker(threadUrl('./udp-thread', import.meta.url), { workerData, name })
    let reason: unknown
    worker.on('error', error => {
      reason = error
    })
    let receives = socket !== undefined
    return new Promise((resolve, reject) => {
      const gone = new Promise<void>(ended => {
        worker.once('exit', () => {
          if (!receives) reject(cannotListen(listener, reason))
          else if (!stopping) options.died(name, reason)
          ended()
        })
      })
      threads.push({ worker, gone })
      worker.once('message', () => {
        receives = true
        resolve()
      })
      if (receives) resolve()
    })
  }

  function cannotListen({ host, port }: UdpListener, error: unknown): Error {
    return unavailableError(
      `cannot listen on ${host} port ${port} for UDP: ${(error as Error).message}`,
    )
  }

  function open(listener: UdpListener): UdpSocket {
    try {
      return openUdpSocket(listener)
    } catch (error) {
      throw cannotListen(listener, error)
    }
  }

  async function start(listener: UdpListener, method: Method): Promise<void> {
    const count = method === 'recvmmsg' ? listener.threads : 1
    for (let n = 0; n < count; n++) {
      const socket = method === 'recvmmsg' ? open(listener) : undefined
      if (socket) {
        sockets.push(socket)
        if (n === 0) tellOfBuffers(listener, socket, log)
      }
      await startThread(listener, socket)
    }
    const { host, port } = listener
    log.info({ server: 'udp', address: host, port, method, threads: count }, 'listening')
  }

  async function stop(): Promise<void> {
    stopping = true
    for (const control of controls) stopLoops(control)
    for (const { worker } of threads) worker.postMessage('stop')
    await Promise.all(threads.map(({ gone }) => gone))
    for (const socket of sockets) closeUdpSocket(socket)
  }

  try {
    const methods = receiveMethods(options.listeners, log)
    for (const [n, listener] of options.listeners.entries()) {
      await start(listener, methods[n] as Method)
    }
  } catch (error) {
    await stop()
    throw error
  }
  return {
    counters: allCounters,
    watched: controls.map((control, n) => ({ name: `udp-${n}`, rounds: () => roundsOf(control) })),
    stop,
  }
}

type Method = 'recvmmsg' | 'dgram'

/** What each listener's method comes to on this machine; where `auto` is dgram, one warning says why. */
function receiveMethods(listeners: readonly UdpListener[], log: Logger): Method[] {
  if (listeners.every(({ method }) => method === 'dgram')) return listeners.map(() => 'dgram')
  try {
    openLibc()
  } catch (error) {
    const reason = (error as Error).message
    if (listeners.some(({ method }) => method === 'recvmmsg'))
      throw unavailableError(`udp_server.receive_method: recvmmsg cannot be used here: ${reason}`)
    log.warn({ reason }, 'recvmmsg cannot be used here; UDP goes through dgram, more slowly')
    return listeners.map(() => 'dgram')
  }
  return listeners.map(({ method }) => (method === 'dgram' ? 'dgram' : 'recvmmsg'))
}

function tellOfBuffers(listener: UdpListener, socket: UdpSocket, log: Logger): void {
  const { receiveBufferBytes: wanted } = listener
  const granted = socket.receiveBufferBytes
  if (granted >= wanted) return
  log.info(
    { wanted, granted, address: listener.host },
    'the kernel grants a smaller receive buffer: raise net.core.rmem_max',
  )
}
