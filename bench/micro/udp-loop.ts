import { once } from 'node:events'
import { isMainThread, Worker, workerData } from 'node:worker_threads'
import koffi from 'koffi'
import { createUdpCounters, readCount, UdpCounter } from '../../src/counters/udp.ts'
import {
  addressReply,
  createBatch,
  receive,
  replyAt,
  requestAt,
  send,
  senderAt,
} from '../../src/frontends/udp/mmsg.ts'
import { createProvenKeys, openProvenKeys } from '../../src/frontends/udp/proven-keys.ts'
import { createControl, interrupt, receiveLoop } from '../../src/frontends/udp/receive-loop.ts'
import { createResponder, respond, type UdpService } from '../../src/frontends/udp/respond.ts'
import { closeUdpSocket, openUdpSocket, type UdpSocket } from '../../src/frontends/udp/socket.ts'
import { SOCKADDR_PORT } from '../../src/native/linux.ts'
import { allocate, type Bytes } from '../../src/protocol/bytes.ts'
import { STANDARD_ANSWERS } from '../../src/protocol/failures.ts'
import {
  INTERVAL,
  LEECHERS,
  NUMWANT,
  PEER_COUNT,
  REPLY_HEADER_BYTES,
  SEEDERS,
} from '../../src/protocol/records.ts'
import { createConnectionSecret, writeConnectionId } from '../../src/protocol/udp/connection-id.ts'
import {
  Action,
  ANNOUNCE_PACKET_BYTES,
  ANSWER_ACTION,
  PACKET_ACTION,
  PACKET_AT,
  PACKET_INFO_HASH,
  PACKET_NUM_WANT,
  PACKET_PORT,
} from '../../src/protocol/udp/packet.ts'
import { nanosEach } from '../measure.ts'
import { bySize, createRows, type Run, type Scenario } from '../scenario.ts'

/**
 * Requests on the way at most: fewer than the default receive buffer holds, so that none is lost.
 */
const WINDOW = 128
const BUFFER_BYTES = 4 * 1024 * 1024
const LOOPBACK = [127, 0, 0, 1] as const

type ServerData = {
  readonly role: 'server'
  readonly socket: UdpSocket
  readonly secret: Int32Array
  readonly control: Int32Array<SharedArrayBuffer>
  readonly counters: Float64Array<SharedArrayBuffer>
  readonly cpu: Float64Array<SharedArrayBuffer>
}

/**
 * An answer of as many peers as asked for, without a swarm: what is left is packets and system
 * calls.
 */
function cannedAnswer(request: Bytes, at: number, reply: Bytes, replyAt: number): number {
  const peers = request.view.getUint16(at + NUMWANT, true)
  reply.u8.fill(0, replyAt, replyAt + REPLY_HEADER_BYTES)
  reply.view.setUint16(replyAt + PEER_COUNT[0], peers, true)
  reply.view.setUint32(replyAt + SEEDERS, 1, true)
  reply.view.setUint32(replyAt + LEECHERS, peers, true)
  reply.view.setUint32(replyAt + INTERVAL, 1800, true)
  reply.u8.fill(7, replyAt + REPLY_HEADER_BYTES, replyAt + REPLY_HEADER_BYTES + peers * 6)
  return REPLY_HEADER_BYTES + peers * 6
}

function serviceOf(data: Pick<ServerData, 'secret' | 'counters'>): UdpService {
  return {
    answer: cannedAnswer,
    rules: {
      announce: { numwantDefault: 50, numwantMaximum: 72, usePayloadIp: false },
      pathRules: { keys: false, users: false },
      failures: STANDARD_ANSWERS,
      trustedProxies: [],
    },
    secret: data.secret,
    provenKeys: openProvenKeys(createProvenKeys(), data.secret),
    nowSeconds: () => Math.floor(Date.now() / 1000),
    counters: data.counters,
  }
}

/** CPU of the calling thread, in microseconds. */
function threadCpuMicros(): number {
  const clock = koffi.load(null).func('int clock_gettime(int, void *)')
  const time = allocate(16)
  clock(3 /* CLOCK_THREAD_CPUTIME_ID */, time.u8)
  return time.view.getUint32(0, true) * 1e6 + time.view.getUint32(8, true) / 1000
}

function writeAnnounce(secret: Int32Array, memory: Bytes, at: number, numwant: number): void {
  const { view } = memory
  const address = allocate(4)
  address.u8.set(LOOPBACK)
  const client = { view: address.view, at: 0, bytes: 4 }
  writeConnectionId(secret, client, Math.floor(Date.now() / 1000), view, at)
  view.setInt32(at + PACKET_ACTION, Action.announce)
  memory.u8.fill(at % 251, at + PACKET_INFO_HASH, at + PACKET_INFO_HASH + 40)
  view.setInt32(at + PACKET_NUM_WANT, numwant)
  view.setUint16(at + PACKET_PORT, 6881)
}

/**
 * Keeps WINDOW announces on the way for `seconds`, and returns how many were answered and how many
 * lost.
 */
function generate(
  secret: Int32Array,
  port: number,
  numwant: number,
  seconds: number,
): { answered: number; lost: number } {
  const options = { receiveBufferBytes: BUFFER_BYTES, sendBufferBytes: BUFFER_BYTES }
  const socket = openUdpSocket({ host: '127.0.0.1', port: 0, ...options })
  const batch = createBatch(socket, WINDOW)
  const { memory } = batch
  for (let n = 0; n < WINDOW; n++) {
    writeAnnounce(secret, memory, replyAt(batch, n) + PACKET_AT, numwant)
    addressReply(batch, n, n, ANNOUNCE_PACKET_BYTES)
    const sockaddr = senderAt(batch, n) - batch.addressAt
    memory.view.setUint16(sockaddr, 2, true)
    memory.view.setUint16(sockaddr + SOCKADDR_PORT, port)
    memory.u8.set(LOOPBACK, sockaddr + batch.addressAt)
  }
  const end = performance.now() + seconds * 1000
  let waiting = 0
  let answered = 0
  let lost = 0
  while (performance.now() < end) {
    if (waiting < WINDOW) waiting += send(batch, socket.fd, WINDOW - waiting)
    const received = receive(batch, socket.fd)
    if (received < 0) {
      lost += waiting
      waiting = 0
      continue
    }
    for (let n = 0; n < received; n++) {
      if (memory.view.getInt32(requestAt(batch, n) + ANSWER_ACTION) === Action.announce) answered++
    }
    waiting -= Math.min(waiting, received)
  }
  closeUdpSocket(socket)
  return { answered, lost }
}

async function measureLoop(numwant: number, seconds: number): Promise<Run> {
  const secret = createConnectionSecret()
  const control = createControl()
  const counters = createUdpCounters()
  const cpu = new Float64Array(new SharedArrayBuffer(8))
  const options = { receiveBufferBytes: BUFFER_BYTES, sendBufferBytes: BUFFER_BYTES }
  const socket = openUdpSocket({ host: '127.0.0.1', port: 0, ...options })
  const data: ServerData = { role: 'server', socket, secret, control, counters, cpu }
  const server = new Worker(new URL(import.meta.url), { workerData: data })
  const exited = once(server, 'exit')
  await once(server, 'online')
  generate(secret, socket.port, numwant, seconds / 4)
  const answeredBefore = readCount(counters, 0, UdpCounter.announce)
  const { answered, lost } = generate(secret, socket.port, numwant, seconds)
  interrupt(control)
  await exited
  closeUdpSocket(socket)
  const total = readCount(counters, 0, UdpCounter.announce)
  const cpuMicros = (cpu[0] as number) / total
  return {
    perSecond: (total - answeredBefore) / seconds,
    perCore: 1e6 / cpuMicros,
    cpuMicros,
    lossPercent: (lost / Math.max(1, answered + lost)) * 100,
  }
}

/** The same without the kernel: parse, connection id, canned answer, packet. */
function measureRespond(count: number): Run {
  const secret = createConnectionSecret()
  const service = serviceOf({ secret, counters: createUdpCounters() })
  const responder = createResponder(service, 0)
  const memory = allocate(8192)
  memory.u8.set(LOOPBACK, 2048)
  writeAnnounce(secret, memory, 0, 50)
  const datagram = { memory, at: 0, length: 98, addressAt: 2048, replyAt: 4096 }
  const now = Math.floor(Date.now() / 1000)
  let bytes = 0
  const answer = (times: number) => {
    for (let n = 0; n < times; n++) bytes += respond(responder, datagram, now)
  }
  answer(count / 10)
  const heap = process.memoryUsage().heapUsed
  const nanos = nanosEach(count, () => answer(count))
  const bytesAllocated = Math.max(0, process.memoryUsage().heapUsed - heap) / count
  return { nanosEach: nanos, bytesAllocated, bodyBytes: bytes / (count * 1.1) }
}

export const udpLoop: Scenario = {
  name: 'udp-loop',
  about: 'the UDP receive loop with constant answers',
  secondsMax: 120,
  async run(plan) {
    const rows = createRows()
    for (let round = 0; round < plan.runs; round++) {
      rows.add('without the kernel', measureRespond(bySize(plan, 1_000_000, 500_000, 1000)))
      for (const numwant of [0, 50]) {
        rows.add(`numwant ${numwant}`, await measureLoop(numwant, plan.seconds / 2))
      }
    }
    return {
      title: 'The UDP loop without a swarm',
      options: { window: WINDOW },
      rows: rows.rows,
      notes: [],
    }
  },
}

if (!isMainThread && (workerData as ServerData | undefined)?.role === 'server') {
  const data = workerData as ServerData
  receiveLoop(data.socket, serviceOf(data), data.control)
  data.cpu[0] = threadCpuMicros()
}
