import { errnoName, type Libc, openLibc } from '../../native/libc.ts'
import {
  CMSGHDR_BYTES,
  Errno,
  IN_PKTINFO_BYTES,
  IN_PKTINFO_IFINDEX,
  IN6_PKTINFO_ADDR,
  IN6_PKTINFO_BYTES,
  IN6_PKTINFO_IFINDEX,
  IOVEC_BASE,
  IOVEC_BYTES,
  IOVEC_LEN,
  MMSGHDR_BYTES,
  MMSGHDR_LEN,
  MSG_DONTWAIT,
  MSG_TRUNC,
  MSG_WAITFORONE,
  MSGHDR_CONTROL,
  MSGHDR_CONTROLLEN,
  MSGHDR_FLAGS,
  MSGHDR_IOV,
  MSGHDR_IOVLEN,
  MSGHDR_NAME,
  MSGHDR_NAMELEN,
  SOCKADDR_ADDRESS,
  SOCKADDR_BYTES,
} from '../../native/linux.ts'
import { allocate, type Bytes } from '../../protocol/bytes.ts'
import { Family, type IpFamily } from '../../protocol/records.ts'
import { PACKET_AT, UDP_REPLY_BYTES, UDP_REQUEST_BYTES_MAX } from '../../protocol/udp/packet.ts'

/**
 * Not a power of two, so that the first lines of all packets do not share a few sets of the caches.
 */
const REQUEST_STRIDE = UDP_REQUEST_BYTES_MAX + 64
const REPLY_STRIDE = Math.ceil(UDP_REPLY_BYTES / 64) * 64 + 64
const ADDRESS_STRIDE = 32

/** One control message, a cmsghdr with the family's pktinfo, padded to 8 bytes (CMSG_SPACE). */
const CONTROL_BYTES = [
  CMSGHDR_BYTES + Math.ceil(IN_PKTINFO_BYTES / 8) * 8,
  CMSGHDR_BYTES + Math.ceil(IN6_PKTINFO_BYTES / 8) * 8,
] as const
const CONTROL_STRIDE = 64

/** Whether one system call handles many datagrams or one. */
export type ReceiveCalls = 'recvmmsg' | 'recvmsg'

/** The properties of a socket that its batch depends on. */
export type BatchSocket = { readonly family: IpFamily; readonly isWildcard: boolean }

/**
 * Datagrams that one thread receives and answers with one system call each way. Headers, iovecs,
 * addresses and packets are in one ArrayBuffer outside V8's heap, which never moves, and the
 * pointers among them stay inside it. Each call receives a view of that buffer, so that the garbage
 * collector cannot free memory that the kernel still uses.
 */
export type Batch = {
  readonly libc: Libc
  readonly size: number
  readonly isWildcard: boolean
  readonly calls: ReceiveCalls
  readonly memory: Bytes<ArrayBuffer>
  /** The mmsghdrs passed to the calls. */
  readonly receiveHeaders: Uint8Array<ArrayBuffer>
  readonly sendHeaders: Uint8Array<ArrayBuffer>
  /** Offsets in `memory`. */
  readonly sendHeadersAt: number
  readonly sendVectorsAt: number
  readonly addressesAt: number
  readonly controlsAt: number
  readonly requestsAt: number
  readonly repliesAt: number
  /** Offset of the IP address in a sockaddr of the socket's family. */
  readonly addressAt: number
  /** Bytes of the control message of the socket's family; 0 unless the socket is a wildcard. */
  readonly controlBytes: number
  /** Offset of the interface number in the control message. */
  readonly interfaceAt: number
  /** Address of `memory`. */
  readonly base: number
}

/**
 * Throws an Error with the reason where recvmmsg or sendmmsg cannot be called: on another system
 * than Linux, without koffi, or in a sandbox that forbids them.
 */
export function checkMmsg(): void {
  const libc = openLibc()
  const nothing = new Uint8Array(new ArrayBuffer(MMSGHDR_BYTES))
  if (libc.recvmmsg(-1, nothing, 1, 0, null) === -1 && libc.errno() !== Errno.EBADF) {
    throw new Error(`recvmmsg is not available: ${errnoName(libc.errno())}`)
  }
  if (libc.sendmmsg(-1, nothing, 1, 0) === -1 && libc.errno() !== Errno.EBADF) {
    throw new Error(`sendmmsg is not available: ${errnoName(libc.errno())}`)
  }
}

/** Lays out memory for `size` datagrams each way, on sockets like `socket`. */
export function createBatch(
  { family, isWildcard }: BatchSocket,
  size: number,
  calls: ReceiveCalls = 'recvmmsg',
): Batch {
  const libc = openLibc()
  const sendHeadersAt = size * MMSGHDR_BYTES
  const receiveVectorsAt = sendHeadersAt + size * MMSGHDR_BYTES
  const sendVectorsAt = receiveVectorsAt + size * IOVEC_BYTES
  const addressesAt = sendVectorsAt + size * IOVEC_BYTES
  const controlsAt = addressesAt + size * ADDRESS_STRIDE
  const requestsAt = controlsAt + (isWildcard ? size * CONTROL_STRIDE : 0)
  const repliesAt = requestsAt + size * REQUEST_STRIDE
  const memory = allocate(repliesAt + size * REPLY_STRIDE)
  const batch: Batch = {
    libc,
    size,
    isWildcard,
    calls,
    memory,
    receiveHeaders: memory.u8.subarray(0, sendHeadersAt),
    sendHeaders: memory.u8.subarray(sendHeadersAt, receiveVectorsAt),
    sendHeadersAt,
    sendVectorsAt,
    addressesAt,
    controlsAt,
    requestsAt,
    repliesAt,
    addressAt: SOCKADDR_ADDRESS[family],
    controlBytes: isWildcard ? CONTROL_BYTES[family] : 0,
    interfaceAt:
      CMSGHDR_BYTES + (family === Family.ipv4 ? IN_PKTINFO_IFINDEX : IN6_PKTINFO_IFINDEX),
    base: libc.address(memory.u8),
  }
  for (let n = 0; n < size; n++) {
    const vector = receiveVectorsAt + n * IOVEC_BYTES
    const reply = sendVectorsAt + n * IOVEC_BYTES
    writeHeader(batch, n * MMSGHDR_BYTES, n, SOCKADDR_BYTES[family], vector)
    writePointer(batch, vector + IOVEC_BASE, requestAt(batch, n))
    memory.view.setUint32(vector + IOVEC_LEN, UDP_REQUEST_BYTES_MAX, true)
    writeHeader(batch, sendHeadersAt + n * MMSGHDR_BYTES, n, SOCKADDR_BYTES[family], reply)
    writePointer(batch, reply + IOVEC_BASE, replyAt(batch, n) + PACKET_AT)
  }
  return batch
}

/**
 * Writes the msghdr at `at`: one iovec, and the sockaddr and control message of datagram `n`. A
 * socket of one family returns sockaddrs of one length, so MSGHDR_NAMELEN remains true when the
 * kernel rewrites it.
 */
function writeHeader(
  batch: Batch,
  at: number,
  n: number,
  sockaddrBytes: number,
  vector: number,
): void {
  const { view } = batch.memory
  writePointer(batch, at + MSGHDR_NAME, batch.addressesAt + n * ADDRESS_STRIDE)
  view.setUint32(at + MSGHDR_NAMELEN, sockaddrBytes, true)
  writePointer(batch, at + MSGHDR_IOV, vector)
  view.setUint32(at + MSGHDR_IOVLEN, 1, true)
  if (!batch.isWildcard) return
  writePointer(batch, at + MSGHDR_CONTROL, controlAt(batch, n))
  view.setUint32(at + MSGHDR_CONTROLLEN, batch.controlBytes, true)
}

/**
 * Writes at `at` the pointer to offset `target` of the same memory. Addresses have 48 bits, so a
 * number holds one exactly.
 */
function writePointer(batch: Batch, at: number, target: number): void {
  const pointer = batch.base + target
  batch.memory.view.setUint32(at, pointer, true)
  batch.memory.view.setUint32(at + 4, pointer / 0x1_0000_0000, true)
}

/**
 * Waits for a datagram, then receives the available ones that fit the batch. Returns their number,
 * or the negative error number.
 */
export function receive(batch: Batch, fd: number): number {
  const { libc, receiveHeaders, size } = batch
  if (batch.calls === 'recvmsg') return receiveEach(batch, fd)
  const received = libc.recvmmsg(fd, receiveHeaders, size, MSG_WAITFORONE, null)
  return received === -1 ? -libc.errno() : received
}

/** Does the same with one call for each datagram. */
function receiveEach({ libc, memory, receiveHeaders, size }: Batch, fd: number): number {
  let received = 0
  while (received < size) {
    const header = receiveHeaders.subarray(received * MMSGHDR_BYTES)
    const bytes = Number(libc.recvmsg(fd, header, received === 0 ? 0 : MSG_DONTWAIT))
    if (bytes === -1) return received > 0 ? received : -libc.errno()
    memory.view.setUint32(received * MMSGHDR_BYTES + MMSGHDR_LEN, bytes, true)
    received++
  }
  return received
}

/** Offset of datagram `n` in the batch's memory. */
export function requestAt(batch: Batch, n: number): number {
  return batch.requestsAt + n * REQUEST_STRIDE
}

/** Length of datagram `n`. */
export function requestBytes(batch: Batch, n: number): number {
  return batch.memory.view.getInt32(n * MMSGHDR_BYTES + MMSGHDR_LEN, true)
}

/** Whether the kernel truncated datagram `n`, because it is longer than UDP_REQUEST_BYTES_MAX. */
export function isTruncated(batch: Batch, n: number): boolean {
  return (batch.memory.view.getInt32(n * MMSGHDR_BYTES + MSGHDR_FLAGS, true) & MSG_TRUNC) !== 0
}

/** Offset of the IP address that datagram `n` came from. */
export function senderAt(batch: Batch, n: number): number {
  return batch.addressesAt + n * ADDRESS_STRIDE + batch.addressAt
}

/** Offset for reply record `n`; its packet begins PACKET_AT behind (protocol/udp/packet.ts). */
export function replyAt(batch: Batch, n: number): number {
  return batch.repliesAt + n * REPLY_STRIDE
}

/** Offset of the control message of datagram `n`, on a wildcard socket. */
function controlAt(batch: Batch, n: number): number {
  return batch.controlsAt + n * CONTROL_STRIDE
}

/**
 * Addresses reply `n`, a packet of `bytes`, to the sender of datagram `to`, and from the address
 * that the datagram was sent to.
 */
export function addressReply(batch: Batch, n: number, to: number, bytes: number): void {
  const header = batch.sendHeadersAt + n * MMSGHDR_BYTES
  writePointer(batch, header + MSGHDR_NAME, batch.addressesAt + to * ADDRESS_STRIDE)
  batch.memory.view.setUint32(batch.sendVectorsAt + n * IOVEC_BYTES + IOVEC_LEN, bytes, true)
  if (batch.isWildcard) setSource(batch, header, to)
}

/**
 * Copies the control message that the kernel wrote for datagram `to` to the send header at
 * `header`. A pktinfo has the same meaning when sent as when received, except for the interface:
 * without a number the kernel routes the answer, which may leave by another interface than the
 * datagram arrived on. An IPv6 link-local address is only valid with its interface.
 */
function setSource(batch: Batch, header: number, to: number): void {
  const { controlBytes, interfaceAt, memory } = batch
  const { view } = memory
  const received = to * MMSGHDR_BYTES + MSGHDR_CONTROLLEN
  const control = controlAt(batch, to)
  // The length is 0 where the kernel wrote none.
  view.setUint32(header + MSGHDR_CONTROLLEN, view.getUint32(received, true), true)
  writePointer(batch, header + MSGHDR_CONTROL, control)
  if (!isLinkLocal(batch, control)) view.setInt32(control + interfaceAt, 0, true)
  // The kernel reads the space for the next datagram there.
  view.setUint32(received, controlBytes, true)
}

function isLinkLocal({ interfaceAt, memory }: Batch, control: number): boolean {
  if (interfaceAt !== CMSGHDR_BYTES + IN6_PKTINFO_IFINDEX) return false
  return (memory.view.getUint16(control + CMSGHDR_BYTES + IN6_PKTINFO_ADDR) & 0xffc0) === 0xfe80
}

/**
 * Sends replies 0 to `replies` - 1 in order and returns how many were sent. An error applies to one
 * reply, whose address is refused, unreachable or has port 0: that reply is skipped. A send buffer
 * that stays full applies to all remaining replies.
 */
export function send(batch: Batch, fd: number, replies: number): number {
  const { libc } = batch
  let sent = 0
  for (let next = 0; next < replies; ) {
    const headers =
      next === 0 ? batch.sendHeaders : batch.sendHeaders.subarray(next * MMSGHDR_BYTES)
    const accepted = sendSome(batch, fd, headers, replies - next)
    if (accepted >= 0) {
      sent += accepted
      next += accepted
    } else {
      const errno = libc.errno()
      if (errno === Errno.EAGAIN) break
      if (errno !== Errno.EINTR) next++
    }
  }
  return sent
}

/** Returns how many of the replies the kernel accepted, or -1 on failure. */
function sendSome({ calls, libc }: Batch, fd: number, headers: Uint8Array, count: number): number {
  if (calls === 'recvmmsg') return libc.sendmmsg(fd, headers, count, 0)
  return Number(libc.sendmsg(fd, headers, 0)) === -1 ? -1 : 1
}
