import { rmSync } from 'node:fs'
import { connect, createServer, type Socket } from 'node:net'
import { pack, unpack } from 'msgpackr'
import { RELAY_FRAME_BYTES_MAX, RELAY_QUEUE_BYTES_MAX } from './limits.ts'

/** A message for a peer, wherever its connection is. */
export type Relayed = {
  /** Numbers of the worker and of the socket in it that the peer is connected to. */
  readonly worker: number
  readonly socket: number
  readonly infoHash: string
  readonly peerId: string
  /** What is sent to it. */
  readonly text: string
  /** Of an offer: who gets the answer. */
  readonly offer: OfferOrigin | undefined
}

export type OfferOrigin = {
  readonly worker: number
  readonly socket: number
  readonly peerId: string
  readonly offerId: string
}

/** Passes offers and answers on, from worker to worker without a detour. */
export type Relay = {
  /** False when the message was dropped: the other worker is gone, or too slow. */
  send(message: Relayed): boolean
  close(): Promise<void>
}

export type RelayOptions = {
  readonly worker: number
  /** Unix socket of a worker; undefined where there is one process only. */
  readonly pathOf: ((worker: number) => string) | undefined
  /** Brings a message to a socket of this worker. */
  readonly deliver: (message: Relayed) => void
}

/** A frame is its length, u32 little-endian, and the message in MessagePack. */
const HEAD_BYTES = 4

/** Serves this worker's Unix socket; those of others are connected to when there is something for them. */
export async function startRelay({ worker, pathOf, deliver }: RelayOptions): Promise<Relay> {
  if (!pathOf) {
    return {
      send(message) {
        if (message.worker === worker) deliver(message)
        return message.worker === worker
      },
      async close() {},
    }
  }
  const outgoing = new Map<number, Socket>()
  const incoming = new Set<Socket>()
  const server = createServer(socket => {
    incoming.add(socket)
    receive(socket, deliver)
    socket.on('close', () => incoming.delete(socket))
  })
  const path = pathOf(worker)
  // A process that had this number before may have left its own.
  rmSync(path, { force: true })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(path, resolve)
  })

  function socketTo(other: number): Socket {
    const known = outgoing.get(other)
    if (known) return known
    const socket = connect((pathOf as (worker: number) => string)(other))
    outgoing.set(other, socket)
    // `close` follows. What was for a worker that is gone is dropped: its sockets are gone too.
    socket.on('error', () => {})
    socket.on('close', () => outgoing.delete(other))
    return socket
  }

  return {
    send(message) {
      if (message.worker === worker) {
        deliver(message)
        return true
      }
      const socket = socketTo(message.worker)
      if (socket.writableLength > RELAY_QUEUE_BYTES_MAX) return false
      const payload = pack(message)
      const head = Buffer.alloc(HEAD_BYTES)
      head.writeUInt32LE(payload.length)
      if (socket.writableCorked === 0) {
        socket.cork()
        process.nextTick(() => socket.uncork())
      }
      socket.write(head)
      socket.write(payload)
      return true
    },
    async close() {
      for (const socket of [...outgoing.values(), ...incoming]) socket.destroy()
      await new Promise<void>(resolve => server.close(() => resolve()))
    },
  }
}

/** Cuts what a worker sends into messages. Nonsense closes the connection: it is not a worker of this version. */
function receive(socket: Socket, deliver: (message: Relayed) => void): void {
  let kept = Buffer.alloc(0)
  socket.on('error', () => {})
  socket.on('data', chunk => {
    kept = kept.length === 0 ? chunk : Buffer.concat([kept, chunk])
    let at = 0
    while (kept.length - at >= HEAD_BYTES) {
      const length = kept.readUInt32LE(at)
      if (length > RELAY_FRAME_BYTES_MAX) return socket.destroy()
      const end = at + HEAD_BYTES + length
      if (end > kept.length) break
      const message = unpackMessage(kept.subarray(at + HEAD_BYTES, end))
      if (!message) return socket.destroy()
      deliver(message)
      at = end
    }
    kept = kept.subarray(at)
    return undefined
  })
}

function unpackMessage(payload: Buffer): Relayed | undefined {
  try {
    const message = unpack(payload) as Partial<Relayed> | null
    return typeof message?.text === 'string' && typeof message.socket === 'number'
      ? (message as Relayed)
      : undefined
  } catch {
    return undefined
  }
}
