import { readdirSync, rmSync } from 'node:fs'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { basename, dirname, join } from 'node:path'
import { pack, unpack } from 'msgpackr'
import { createFrameReader, FRAME_HEADER_BYTES, writeFrameHeader } from '../../link/frame.ts'
import { bytesOf } from '../../protocol/bytes.ts'
import { WORKER_IDS } from '../../protocol/connection.ts'
import type { SocketCount } from './client-addresses.ts'
import { RELAY_FRAME_BYTES_MAX, RELAY_QUEUE_BYTES_MAX, REPORTED_ADDRESSES_MAX } from './limits.ts'
import type { Relayed, RelayTransport } from './relay.ts'

/**
 * Number of the nodes thread in place of a worker's: it carries the messages for the workers of
 * other nodes, all of which have larger numbers (connection.ts).
 */
export const NODES_THREAD = WORKER_IDS

/** Path in `folder` of the Unix socket of worker process `worker`, or of the nodes thread. */
export function relayPathIn(folder: string): (worker: number) => string {
  return worker => join(folder, `relay-${worker >= NODES_THREAD ? 'nodes' : worker}.sock`)
}

export type WorkerRelayOptions = {
  /** Number of this worker, or NODES_THREAD. */
  readonly worker: number
  /** Path of the Unix socket of each worker, and of the nodes thread. */
  readonly pathOf: (worker: number) => string
  /** Receives messages from other workers. */
  readonly deliver: (message: Relayed) => void
  readonly counts: SharedCounts
}

/** Counts of sockets that the workers report to each other. */
export type SharedCounts = {
  shared(): readonly SocketCount[]
  report(worker: number, counts: readonly SocketCount[]): void
  forget(worker: number): void
}

/** A report of `from`; a new worker also requests the reports of the others. */
type Report = {
  readonly from: number
  readonly isNew: boolean
  readonly counts: readonly SocketCount[]
}

/** The transport between the workers of this machine. */
export type WorkerTransport = RelayTransport & {
  /** Reports a count to the other workers. */
  share(count: SocketCount): void
}

/**
 * Connects the workers of this machine, and its nodes thread: serves this worker's Unix socket, and
 * connects to that of another one with the first message for it. A frame of link/frame.ts carries
 * one message in MessagePack. Rejects when it cannot listen on the path.
 */
export async function startWorkerRelay(options: WorkerRelayOptions): Promise<WorkerTransport> {
  const relay = new WorkerRelay(options)
  await relay.listen()
  relay.greet()
  return relay
}

class WorkerRelay implements WorkerTransport {
  readonly #options: WorkerRelayOptions
  readonly #outgoing = new Map<number, Socket>()
  /** Connections of other workers, with their number once they have reported. */
  readonly #incoming = new Map<Socket, number | undefined>()
  readonly #server: Server

  constructor(options: WorkerRelayOptions) {
    this.#options = options
    this.#server = createServer(socket => {
      this.#incoming.set(socket, undefined)
      receive(socket, options.deliver, report => this.#onReport(socket, report))
      socket.on('close', () => {
        const worker = this.#incoming.get(socket)
        this.#incoming.delete(socket)
        if (worker !== undefined) options.counts.forget(worker)
      })
    })
  }

  listen(): Promise<void> {
    const path = this.#options.pathOf(this.#options.worker)
    // A dead process that had the same number may have left its socket.
    rmSync(path, { force: true })
    return new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject)
      this.#server.listen(path, resolve)
    })
  }

  reaches = () => true

  send(message: Relayed): boolean {
    return this.#write(Math.min(message.worker, NODES_THREAD), message)
  }

  share(count: SocketCount): void {
    const report: Report = { from: this.#options.worker, isNew: false, counts: [count] }
    for (const worker of this.#outgoing.keys()) this.#write(worker, report)
  }

  /** Connects to the workers that run already, which connect to this one in return. */
  greet(): void {
    const { pathOf, worker } = this.#options
    const [prefix = '', suffix = ''] = basename(pathOf(0)).split('0')
    for (const name of readdirSync(dirname(pathOf(0)))) {
      if (!name.startsWith(prefix) || !name.endsWith(suffix)) continue
      const number = name.slice(prefix.length, -suffix.length)
      if (/^\d+$/.test(number) && Number(number) !== worker) this.#report(Number(number), true)
    }
  }

  #onReport(socket: Socket, { counts, from, isNew }: Report): void {
    this.#incoming.set(socket, from)
    this.#options.counts.report(from, counts)
    if (isNew) this.#report(from, false)
  }

  #report(to: number, isNew: boolean): void {
    const counts = this.#options.counts.shared().slice(0, REPORTED_ADDRESSES_MAX)
    this.#write(to, { from: this.#options.worker, isNew, counts })
  }

  #write(worker: number, message: Relayed | Report): boolean {
    const socket = this.#socketTo(worker)
    if (socket.writableLength > RELAY_QUEUE_BYTES_MAX) return false
    const payload = pack(message)
    const header = bytesOf(new Uint8Array(FRAME_HEADER_BYTES))
    writeFrameHeader(header.view, FRAME_HEADER_BYTES + payload.length, 0, 1)
    if (socket.writableCorked === 0) {
      socket.cork()
      process.nextTick(() => socket.uncork())
    }
    socket.write(header.u8)
    socket.write(payload)
    return true
  }

  async close(): Promise<void> {
    for (const socket of [...this.#outgoing.values(), ...this.#incoming.keys()]) socket.destroy()
    await new Promise<void>(resolve => this.#server.close(() => resolve()))
  }

  #socketTo(worker: number): Socket {
    const known = this.#outgoing.get(worker)
    if (known) return known
    const socket = connect(this.#options.pathOf(worker))
    this.#outgoing.set(worker, socket)
    // `close` follows. Messages to a dead worker are dropped: its sockets are closed too.
    socket.on('error', () => {})
    socket.on('close', () => this.#outgoing.delete(worker))
    return socket
  }
}

/** Delivers the messages of one connection. A malformed frame closes it. */
function receive(
  socket: Socket,
  deliver: (message: Relayed) => void,
  onReport: (report: Report) => void,
): void {
  const reader = createFrameReader(({ u8 }, at, length) => {
    const message = unpackMessage(u8.subarray(at + FRAME_HEADER_BYTES, at + length))
    if (message && 'counts' in message) onReport(message)
    else if (message) deliver(message)
    return message !== undefined
  }, RELAY_FRAME_BYTES_MAX)
  socket.on('error', () => {})
  socket.on('data', chunk => {
    if (!reader.push(chunk as Buffer<ArrayBuffer>)) socket.destroy()
  })
}

function unpackMessage(payload: Uint8Array): Relayed | Report | undefined {
  try {
    const message = unpack(payload) as Partial<Relayed & Report> | null
    if (typeof message?.from === 'number' && Array.isArray(message.counts)) return message as Report
    return typeof message?.text === 'string' && typeof message.socket === 'number'
      ? (message as Relayed)
      : undefined
  } catch {
    return undefined
  }
}
