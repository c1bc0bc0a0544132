import { Worker } from 'node:worker_threads'
import { createUdpCounters, type UdpCounters } from '../counters/udp.ts'
import type { EngineRules, EngineSettings, EngineTables } from '../engine/engine.ts'
import { unavailableError } from '../errors.ts'
import { type Control, createControl, roundsOf, stopLoops } from '../frontends/udp/receive-loop.ts'
import {
  closeUdpSocket,
  openUdpSocket,
  setDontFragment,
  type UdpSocket,
} from '../frontends/udp/socket.ts'
import type { Part } from '../lifecycle.ts'
import type { Logger } from '../log.ts'
import { openLibc } from '../native/libc.ts'
import { Family } from '../protocol/records.ts'
import { createConnectionSecret } from '../protocol/udp/connection-id.ts'
import type { UdpListener } from '../serving/listeners.ts'
import type { UdpThreadStart } from '../serving/messages.ts'
import { threadUrl } from '../thread-url.ts'
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
  /** Two for each thread, of which it counts in one, and the one that takes its place in the other. */
  readonly counters: readonly UdpCounters[]
  readonly watched: readonly WatchedThread[]
  /**
   * Has the same listeners go by other rules. Threads that go by them start on the open sockets before those that were are stopped, so no
   * datagram is lost; what dgram receives on is closed for a moment.
   */
  setRules(listeners: readonly UdpListener[], rules: EngineRules): Promise<void>
}

/** One socket, or one address that dgram receives on, and the thread that does. */
type Place = {
  readonly name: string
  /** Number of the listener. */
  readonly listener: number
  readonly socket: UdpSocket | undefined
  readonly counters: readonly [UdpCounters, UdpCounters]
  /** Which of the counters is in use. */
  counting: 0 | 1
  thread: Thread
}

type Thread = { readonly control: Control; stop(): Promise<void> }

/**
 * Opens every UDP socket, in this thread, where an error reaches the operator, and starts the threads that receive on them. Throws an
 * OperatorError with EX_UNAVAILABLE.
 */
export async function startUdpThreads(options: UdpThreadsOptions): Promise<UdpThreads> {
  const { clockOffset, log } = options
  const secret = createConnectionSecret()
  const places: Place[] = []
  let { listeners } = options
  let rules: EngineRules = { settings: options.settings, access: options.tables.access.rules }

  /** Resolves when the thread receives; a socket of ours is bound before it starts, and so loses nothing. */
  function startThread(
    name: string,
    listener: UdpListener,
    socket: UdpSocket | undefined,
    counters: UdpCounters,
    rounds = 0,
  ): Promise<Thread> {
    const { rules: announceRules, pathRules, trustedProxies } = listener
    const { host, port, receiveBufferBytes, sendBufferBytes } = listener
    const control = createControl(rounds)
    const workerData: UdpThreadStart = {
      tables: { ...options.tables, access: { ...options.tables.access, rules: rules.access } },
      settings: rules.settings,
      clockOffset,
      rules: announceRules,
      pathRules,
      secret,
      counters,
      trustedProxies,
      socket,
      control,
      dgram: { host, port, receiveBufferBytes, sendBufferBytes },
    }
    const worker = new Worker(threadUrl('./udp-thread', import.meta.url), { workerData, name })
    let reason: unknown
    worker.on('error', error => {
      reason = error
    })
    let receives = socket !== undefined
    let stopping = false
    return new Promise((resolve, reject) => {
      const gone = new Promise<void>(ended => {
        worker.once('exit', () => {
          if (!receives) reject(cannotListen(listener, reason))
          else if (!stopping) options.died(name, reason)
          ended()
        })
      })
      const thread: Thread = {
        control,
        stop() {
          stopping = true
          stopLoops(control)
          worker.postMessage('stop')
          return gone
        },
      }
      worker.once('message', () => {
        receives = true
        resolve(thread)
      })
      if (receives) resolve(thread)
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

  async function start(n: number, listener: UdpListener, method: Method): Promise<void> {
    const count = method === 'recvmmsg' ? listener.threads : 1
    for (let socketsOpen = 0; socketsOpen < count; socketsOpen++) {
      const name = `udp-${places.length}`
      const counters = [createUdpCounters(), createUdpCounters()] as const
      const socket = method === 'recvmmsg' ? open(listener) : undefined
      if (socket && socketsOpen === 0) tellOfBuffers(listener, socket, log)
      const thread = await startThread(name, listener, socket, counters[0])
      places.push({ name, listener: n, socket, counters, counting: 0, thread })
    }
    const { host, port } = listener
    log.info({ server: 'udp', address: host, port, method, threads: count }, 'listening')
  }

  async function startAnew(place: Place): Promise<void> {
    const { name, socket, thread: old } = place
    const listener = listeners[place.listener] as UdpListener
    if (!socket) await old.stop()
    else if (socket.family === Family.ipv4)
      setDontFragment(socket.fd, listener.dontFragment === true)
    place.counting = place.counting === 0 ? 1 : 0
    // More than was ever seen of the old one: who looks now and then must not take the new one for it, standing still.
    const rounds = roundsOf(old.control) + 1
    const counters = place.counters[place.counting]
    try {
      place.thread = await startThread(name, listener, socket, counters, rounds)
    } catch (error) {
      options.died(name, error)
    }
    if (socket) await old.stop()
  }

  let changing = Promise.resolve()
  let ended: Promise<void> | undefined

  /** Once: the number of a descriptor that was closed is given out again. */
  function stop(): Promise<void> {
    ended ??= end()
    return ended
  }

  async function end(): Promise<void> {
    await changing
    await Promise.all(places.map(({ thread }) => thread.stop()))
    for (const { socket } of places) if (socket) closeUdpSocket(socket)
  }

  try {
    const methods = receiveMethods(listeners, log)
    for (const [n, listener] of listeners.entries()) await start(n, listener, methods[n] as Method)
  } catch (error) {
    await stop()
    throw error
  }
  return {
    counters: places.flatMap(({ counters }) => counters),
    watched: places.map(place => ({
      name: place.name,
      rounds: () => roundsOf(place.thread.control),
    })),
    setRules(wanted, wantedRules) {
      listeners = wanted
      rules = wantedRules
      changing = changing.then(async () => {
        if (!ended) await Promise.all(places.map(startAnew))
      })
      return changing
    },
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
    { wanted_bytes: wanted, granted_bytes: granted, address: listener.host },
    'the kernel grants a smaller receive buffer: raise net.core.rmem_max',
  )
}
