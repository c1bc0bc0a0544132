import { Errno, type Libc, openLibc } from '../../native/libc.ts'
import { SOCKADDR_ADDRESS, SOCKADDR_BYTES } from '../../native/socket.ts'
import { allocate, type Bytes } from '../../protocol/bytes.ts'
import type { IpFamily } from '../../protocol/records.ts'
import { PACKET_AT, UDP_REPLY_BYTES, UDP_REQUEST_BYTES_MAX } from '../../protocol/udp/packet.ts'

/** Linux on 64-bit machines, little-endian. Offsets in bytes. */
const MSG_NAME = 0 // pointer to a sockaddr
const MSG_NAMELEN = 8 // u32
const MSG_IOV = 16 // pointer to iovecs
const MSG_IOVLEN = 24 // u64
const MSG_FLAGS = 48 // i32
const MSG_LEN = 56 // u32, bytes received; mmsghdr's own, behind the msghdr
const MMSGHDR_BYTES = 64

const IOV_BASE = 0 // pointer
const IOV_LEN = 8 // u64
const IOVEC_BYTES = 16

const MSG_TRUNC = 0x20
const MSG_WAITFORONE = 0x10000

/**
 * Not a power of two, so that the first lines of all packets do not share a few sets of the caches.
 */
const REQUEST_STRIDE = UDP_REQUEST_BYTES_MAX + 64
const REPLY_STRIDE = Math.ceil(UDP_REPLY_BYTES / 64) * 64 + 64
const ADDRESS_STRIDE = 32

/**
 * Datagrams that one thread receives and answers with one system call each way. Headers, iovecs,
 * addresses and packets all lie in one ArrayBuffer outside V8's heap, which never moves, and the
 * pointers among them lead nowhere else. Each call is handed a view of that same buffer, so
 * whatever the kernel reads or writes is reachable for as long as it does.
 */
export type Batch = {
  readonly libc: Libc
  readonly size: number
  readonly memory: Bytes<ArrayBuffer>
  /** The mmsghdrs, as the calls want them. */
  readonly receiveHeaders: Uint8Array<ArrayBuffer>
  readonly sendHeaders: Uint8Array<ArrayBuffer>
  /** Where things begin in `memory`. */
  readonly sendHeadersAt: number
  readonly sendVectorsAt: number
  readonly addressesAt: number
  readonly requestsAt: number
  readonly repliesAt: number
  /** Offset of the IP address in a sockaddr of this family. */
  readonly addressAt: number
  /** Address of `memory`. */
  readonly base: number
}

/** Lays out room for `size` datagrams each way, on a socket of `family`. */
export function createBatch(family: IpFamily, size: number): Batch {
  const libc = openLibc()
  const sendHeadersAt = size * MMSGHDR_BYTES
  const receiveVectorsAt = sendHeadersAt + size * MMSGHDR_BYTES
  const sendVectorsAt = receiveVectorsAt + size * IOVEC_BYTES
  const addressesAt = sendVectorsAt + size * IOVEC_BYTES
  const requestsAt = addressesAt + size * ADDRESS_STRIDE
  const repliesAt = requestsAt + size * REQUEST_STRIDE
  const memory = allocate(repliesAt + size * REPLY_STRIDE)
  const batch: Batch = {
    libc,
    size,
    memory,
    receiveHeaders: memory.u8.subarray(0, sendHeadersAt),
    sendHeaders: memory.u8.subarray(sendHeadersAt, receiveVectorsAt),
    sendHeadersAt,
    sendVectorsAt,
    addressesAt,
    requestsAt,
    repliesAt,
    addressAt: SOCKADDR_ADDRESS[family],
    base: libc.address(memory.u8),
  }
  for (let n = 0; n < size; n++) {
    const sockaddr = addressesAt + n * ADDRESS_STRIDE
    const vector = receiveVectorsAt + n * IOVEC_BYTES
    const reply = sendVectorsAt + n * IOVEC_BYTES
    writeHeader(batch, n * MMSGHDR_BYTES, sockaddr, SOCKADDR_BYTES[family], vector)
    writePointer(batch, vector + IOV_BASE, requestAt(batch, n))
    memory.view.setUint32(vector + IOV_LEN, UDP_REQUEST_BYTES_MAX, true)
    writeHeader(batch, sendHeadersAt + n * MMSGHDR_BYTES, sockaddr, SOCKADDR_BYTES[family], reply)
    writePointer(batch, reply + IOV_BASE, replyAt(batch, n) + PACKET_AT)
  }
  return batch
}

/**
 * One message of one iovec. A socket of one family returns sockaddrs of one length, so MSG_NAMELEN
 * stays true when the kernel rewrites it.
 */
function writeHeader(
  batch: Batch,
  at: number,
  sockaddr: number,
  sockaddrBytes: number,
  vector: number,
): void {
  writePointer(batch, at + MSG_NAME, sockaddr)
  batch.memory.view.setUint32(at + MSG_NAMELEN, sockaddrBytes, true)
  writePointer(batch, at + MSG_IOV, vector)
  batch.memory.view.setUint32(at + MSG_IOVLEN, 1, true)
}

/**
 * Writes at `at` the pointer to `target` in the same memory; addresses have 48 bits, so a number
 * holds one.
 */
function writePointer(batch: Batch, at: number, target: number): void {
  const pointer = batch.base + target
  batch.memory.view.setUint32(at, pointer, true)
  batch.memory.view.setUint32(at + 4, pointer / 0x1_0000_0000, true)
}

/**
 * Waits for a datagram, then takes as many as there are and fit. Returns how many, or the negative
 * error number.
 */
export function receive(batch: Batch, fd: number): number {
  const { libc, receiveHeaders, size } = batch
  const received = libc.recvmmsg(fd, receiveHeaders, size, MSG_WAITFORONE, null)
  return received === -1 ? -libc.errno() : received
}

/** Where datagram `n` begins in the batch's memory. */
export function requestAt(batch: Batch, n: number): number {
  return batch.requestsAt + n * REQUEST_STRIDE
}

/** Its length. */
export function requestBytes(batch: Batch, n: number): number {
  return batch.memory.view.getInt32(n * MMSGHDR_BYTES + MSG_LEN, true)
}

/** Whether the kernel cut it because it is longer than UDP_REQUEST_BYTES_MAX. */
export function isTruncated(batch: Batch, n: number): boolean {
  return (batch.memory.view.getInt32(n * MMSGHDR_BYTES + MSG_FLAGS, true) & MSG_TRUNC) !== 0
}

/** Where its sender's IP address lies. */
export function senderAt(batch: Batch, n: number): number {
  return batch.addressesAt + n * ADDRESS_STRIDE + batch.addressAt
}

/** Where reply record `n` is to be made (udp-packet.ts: the packet begins PACKET_AT behind). */
export function replyAt(batch: Batch, n: number): number {
  return batch.repliesAt + n * REPLY_STRIDE
}

/** Addresses reply `n`, a packet of `bytes`, to the sender of datagram `to`. */
export function addressReply(batch: Batch, n: number, to: number, bytes: number): void {
  const header = batch.sendHeadersAt + n * MMSGHDR_BYTES
  writePointer(batch, header + MSG_NAME, batch.addressesAt + to * ADDRESS_STRIDE)
  batch.memory.view.setUint32(batch.sendVectorsAt + n * IOVEC_BYTES + IOV_LEN, bytes, true)
}

/**
 * Sends replies 0 to `replies`, in order, and returns how many went. An error concerns one reply,
 * whose address is refused, unreachable or has port 0: that one is left out. A send buffer that
 * stays full concerns all that are left.
 */
export function send(batch: Batch, fd: number, replies: number): number {
  const { libc } = batch
  let sent = 0
  for (let next = 0; next < replies; ) {
    const headers =
      next === 0 ? batch.sendHeaders : batch.sendHeaders.subarray(next * MMSGHDR_BYTES)
    const went = libc.sendmmsg(fd, headers, replies - next, 0)
    if (went >= 0) {
      sent += went
      next += went
    } else {
      const errno = libc.errno()
      if (errno === Errno.EAGAIN) break
      if (errno !== Errno.EINTR) next++
    }
  }
  return sent
}
