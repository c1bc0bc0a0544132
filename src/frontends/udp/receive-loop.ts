import { observe, SECONDS_BOUNDS } from '../../counters/histogram.ts'
import { batchSeconds, count, UdpCounter } from '../../counters/udp.ts'
import { Errno, errnoName } from '../../native/libc.ts'
import {
  addressReply,
  type Batch,
  createBatch,
  isTruncated,
  receive,
  replyAt,
  requestAt,
  requestBytes,
  send,
  senderAt,
} from './mmsg.ts'
import { createResponder, type Responder, respond, type UdpService } from './respond.ts'
import type { UdpSocket } from './socket.ts'

/** Datagrams of one system call. */
export const BATCH_SIZE = 256

/** One batch of so many is timed: where little comes, a batch is one datagram, and looking at the clock would be a part of its cost. */
const BATCHES_PER_LOOK = 8

/** Two words of shared memory: the one that stops a loop, which 0 lets run, and the one that counts its rounds. */
export type Control = Int32Array<SharedArrayBuffer>

const STOP = 0
const ROUNDS = 1

/** `rounds` is where it begins to count. */
export function createControl(rounds = 0): Control {
  const control = new Int32Array(new SharedArrayBuffer(8))
  control[ROUNDS] = rounds
  return control
}

/** Grows at least once in BLOCK_MILLIS_MAX while the loop is alive; wraps around. */
export function roundsOf(control: Control): number {
  return Atomics.load(control, ROUNDS)
}

/** Tells that the loop is alive. */
export function countRound(control: Control): void {
  Atomics.add(control, ROUNDS, 1)
}

/**
 * Stops the loops that look at `control`, each when its receive call returns, at the latest after
 * BLOCK_MILLIS_MAX.
 */
export function stopLoops(control: Control): void {
  Atomics.store(control, STOP, 1)
}

/**
 * Answers datagrams on `socket` until `control` says stop: blocks its thread, allocates nothing.
 * Errors of the network are counted and survived; throws where the descriptor itself is no good.
 * The socket stays open.
 */
export function receiveLoop(
  socket: UdpSocket,
  service: UdpService,
  control: Control,
  batchSize: number = BATCH_SIZE,
): void {
  const { fd, family } = socket
  const batch = createBatch(family, batchSize)
  const responder = createResponder(service, family)
  const seconds = batchSeconds(service.counters)
  let batches = 0
  while (Atomics.load(control, STOP) === 0) {
    countRound(control)
    const received = receive(batch, fd)
    if (received < 0) {
      failedReceive(responder, -received)
      continue
    }
    const isTimed = ++batches % BATCHES_PER_LOOK === 0
    const begun = isTimed ? performance.now() : 0
    sendReplies(responder, batch, fd, answerBatch(responder, batch, received))
    if (isTimed) observe(seconds, SECONDS_BOUNDS, (performance.now() - begun) / 1000)
  }
}

/** Makes the replies to the datagrams just received and returns how many. */
function answerBatch(responder: Responder, batch: Batch, received: number): number {
  const { counters } = responder.service
  const now = responder.service.nowSeconds()
  let replies = 0
  for (let n = 0; n < received; n++) {
    if (isTruncated(batch, n)) {
      count(counters, responder.family, UdpCounter.truncated, 1)
      continue
    }
    const bytes = respond(
      responder,
      batch.memory,
      requestAt(batch, n),
      requestBytes(batch, n),
      senderAt(batch, n),
      replyAt(batch, replies),
      now,
    )
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
  // Nothing came for a while.
  if (errno === Errno.EAGAIN || errno === Errno.EINTR) return
  count(responder.service.counters, responder.family, UdpCounter.receiveFailed, 1)
  const ours = [Errno.EBADF, Errno.EFAULT, Errno.EINVAL, Errno.ENOTSOCK] as readonly number[]
  if (ours.includes(errno)) throw new Error(`recvmmsg ${errnoName(errno)}`)
}
