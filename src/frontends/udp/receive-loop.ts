import { observe, SECONDS_BOUNDS } from '../../counters/histogram.ts'
import { batchSeconds, count, UdpCounter } from '../../counters/udp.ts'
import { errnoName } from '../../native/libc.ts'
import { Errno } from '../../native/linux.ts'
import {
  addressReply,
  type Batch,
  createBatch,
  isTruncated,
  type ReceiveCalls,
  receive,
  replyAt,
  requestAt,
  requestBytes,
  send,
  senderAt,
} from './mmsg.ts'
import {
  createDatagram,
  createResponder,
  type Datagram,
  type Responder,
  respond,
  type UdpService,
} from './respond.ts'
import type { UdpSocket } from './socket.ts'

/** Datagrams of one system call. */
export const BATCH_SIZE = 256

/**
 * One batch of this many is timed: at low load a batch is one datagram, and reading the clock would
 * be a large part of its cost.
 */
const BATCHES_PER_TIMING = 8

/**
 * Two words of shared memory: the interrupt of a loop, which runs while the word is 0, and the
 * number of rounds.
 */
export type Control = Int32Array<SharedArrayBuffer>

const INTERRUPT = 0
const ROUNDS = 1

export function createControl(): Control {
  return new Int32Array(new SharedArrayBuffer(8))
}

/** Grows at least once in BLOCK_MILLIS_MAX while the loop is alive; wraps around. */
export function roundsOf(control: Control): number {
  return Atomics.load(control, ROUNDS)
}

/** Reports that the loop is alive. */
export function countRound(control: Control): void {
  Atomics.add(control, ROUNDS, 1)
}

/** Makes the loops with `control` return, at the latest after BLOCK_MILLIS_MAX. */
export function interrupt(control: Control): void {
  Atomics.store(control, INTERRUPT, 1)
}

/** Ends an interrupt: a loop that is called next runs. */
export function resume(control: Control): void {
  Atomics.store(control, INTERRUPT, 0)
}

/**
 * Answers datagrams on `socket` until `control` is interrupted: blocks its thread, allocates
 * nothing. Network errors are counted and survived. Throws where the descriptor itself is invalid.
 * The socket remains open.
 */
export function receiveLoop(
  { fd, family, isWildcard }: UdpSocket,
  service: UdpService,
  control: Control,
  options: { readonly batchSize?: number; readonly calls?: ReceiveCalls } = {},
): void {
  const batch = createBatch({ family, isWildcard }, options.batchSize ?? BATCH_SIZE, options.calls)
  const responder = createResponder(service, family)
  const datagram = createDatagram(batch.memory)
  const seconds = batchSeconds(service.counters)
  let batches = 0
  while (Atomics.load(control, INTERRUPT) === 0) {
    countRound(control)
    const received = receive(batch, fd)
    if (received < 0) {
      failedReceive(responder, -received)
      continue
    }
    const isTimed = ++batches % BATCHES_PER_TIMING === 0
    const begun = isTimed ? performance.now() : 0
    sendReplies(responder, batch, fd, answerBatch(responder, batch, datagram, received))
    if (isTimed) observe(seconds, SECONDS_BOUNDS, (performance.now() - begun) / 1000)
  }
}

/** Builds the replies to the received datagrams and returns how many. */
function answerBatch(
  responder: Responder,
  batch: Batch,
  datagram: Datagram,
  received: number,
): number {
  const { counters } = responder.service
  const now = responder.service.nowSeconds()
  let replies = 0
  for (let n = 0; n < received; n++) {
    if (isTruncated(batch, n)) {
      count(counters, responder.family, UdpCounter.truncated, 1)
      continue
    }
    datagram.at = requestAt(batch, n)
    datagram.length = requestBytes(batch, n)
    datagram.addressAt = senderAt(batch, n)
    datagram.replyAt = replyAt(batch, replies)
    const bytes = respond(responder, datagram, now)
    if (bytes > 0) addressReply(batch, replies++, n, bytes)
  }
  count(counters, responder.family, UdpCounter.received, received)
  return replies
}

function sendReplies(responder: Responder, batch: Batch, fd: number, replies: number): void {
  const { counters } = responder.service
  const sent = send(batch, fd, replies)
  count(counters, responder.family, UdpCounter.sent, sent)
  count(counters, responder.family, UdpCounter.sendFailed, replies - sent)
}

function failedReceive(responder: Responder, errno: number): void {
  // No datagram came within BLOCK_MILLIS_MAX, or a signal.
  if (errno === Errno.EAGAIN || errno === Errno.EINTR) return
  count(responder.service.counters, responder.family, UdpCounter.receiveFailed, 1)
  const ours = [Errno.EBADF, Errno.EFAULT, Errno.EINVAL, Errno.ENOTSOCK] as readonly number[]
  if (ours.includes(errno)) throw new Error(`recvmmsg ${errnoName(errno)}`)
}
