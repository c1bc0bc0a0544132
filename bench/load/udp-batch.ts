import { closeUdpSocket, openUdpSocket, type UdpSocket } from '../../src/frontends/udp/socket.ts'
import { type Libc, openLibc } from '../../src/native/libc.ts'
import { SOCKADDR_PORT } from '../../src/native/linux.ts'
import { allocate, type Bytes } from '../../src/protocol/bytes.ts'

/**
 * Datagrams of a load generator: each sent from an address of its own out of 127.0.0.0/8, which the
 * kernel lets anybody choose (IP_PKTINFO), all through one socket that hears every answer. Linux,
 * 64 bits. Offsets in bytes.
 */
const HEADER_BYTES = 64 // mmsghdr
const MSG_NAME = 0
const MSG_NAMELEN = 8
const MSG_IOV = 16
const MSG_IOVLEN = 24
const MSG_CONTROL = 32
const MSG_CONTROLLEN = 40
const MSG_LEN = 56

/** One control message: its header, then struct in_pktinfo. */
const CONTROL_BYTES = 32
const CONTROL_LEN = 0 // u64
const CONTROL_LEVEL = 8 // i32
const CONTROL_TYPE = 12 // i32
const CONTROL_SOURCE = 20 // 4, ipi_spec_dst
const CONTROL_USED = 28
const IPPROTO_IP = 0
const IP_PKTINFO = 8

const VECTOR_BYTES = 16
const PACKET_STRIDE = 2048
const MSG_WAITFORONE = 0x10000
const SOCKET_BUFFER_BYTES = 8 * 2 ** 20

export type LoadSocket = {
  readonly libc: Libc
  readonly socket: UdpSocket
  readonly size: number
  readonly memory: Bytes<ArrayBuffer>
}

export function openLoadSocket(serverPort: number, size: number): LoadSocket {
  const libc = openLibc()
  const memory = allocate(
    size * (2 * HEADER_BYTES + 2 * VECTOR_BYTES + CONTROL_BYTES + 2 * PACKET_STRIDE) + 16,
  )
  const socket = openUdpSocket({
    host: '0.0.0.0',
    port: 0,
    receiveBufferBytes: SOCKET_BUFFER_BYTES,
    sendBufferBytes: SOCKET_BUFFER_BYTES,
  })
  const load: LoadSocket = { libc, socket, size, memory }
  const base = libc.address(memory.u8)
  const { u8, view } = memory
  const pointer = (at: number, target: number) => view.setBigUint64(at, BigInt(base + target), true)
  const server = memory.u8.length - 16
  view.setUint16(server, 2, true)
  view.setUint16(server + SOCKADDR_PORT, serverPort)
  u8.set([127, 0, 0, 1], server + 4)
  for (let n = 0; n < size; n++) {
    const out = n * HEADER_BYTES
    const into = (size + n) * HEADER_BYTES
    const vectors = size * 2 * HEADER_BYTES + n * 2 * VECTOR_BYTES
    const control = controlAt(load, n)
    pointer(out + MSG_NAME, server)
    view.setUint32(out + MSG_NAMELEN, 16, true)
    for (const [header, vector, packet] of [
      [out, vectors, sentAt(load, n)],
      [into, vectors + VECTOR_BYTES, receivedAt(load, n)],
    ] as const) {
      pointer(header + MSG_IOV, vector)
      view.setUint32(header + MSG_IOVLEN, 1, true)
      pointer(vector, packet)
      view.setUint32(vector + 8, PACKET_STRIDE, true)
    }
    pointer(out + MSG_CONTROL, control)
    view.setUint32(out + MSG_CONTROLLEN, CONTROL_BYTES, true)
    view.setUint32(control + CONTROL_LEN, CONTROL_USED, true)
    view.setInt32(control + CONTROL_LEVEL, IPPROTO_IP, true)
    view.setInt32(control + CONTROL_TYPE, IP_PKTINFO, true)
  }
  return load
}

export function closeLoadSocket({ socket }: LoadSocket): void {
  closeUdpSocket(socket)
}

function vectorsAt(load: LoadSocket, n: number): number {
  return load.size * 2 * HEADER_BYTES + n * 2 * VECTOR_BYTES
}

function controlAt(load: LoadSocket, n: number): number {
  return load.size * (2 * HEADER_BYTES + 2 * VECTOR_BYTES) + n * CONTROL_BYTES
}

/** Where datagram `n` to send is to be written. */
export function sentAt(load: LoadSocket, n: number): number {
  const packets = load.size * (2 * HEADER_BYTES + 2 * VECTOR_BYTES + CONTROL_BYTES)
  return packets + n * 2 * PACKET_STRIDE
}

/** Where received datagram `n` lies. */
export function receivedAt(load: LoadSocket, n: number): number {
  return sentAt(load, n) + PACKET_STRIDE
}

export function receivedBytes(load: LoadSocket, n: number): number {
  return load.memory.view.getUint32((load.size + n) * HEADER_BYTES + MSG_LEN, true)
}

/**
 * Gives datagram `n` its length, and the address `127.x.y.z` that it comes from: `source` is x, y
 * and z in 24 bits.
 */
export function addressDatagram(load: LoadSocket, n: number, source: number, bytes: number): void {
  load.memory.view.setUint32(vectorsAt(load, n) + 8, bytes, true)
  load.memory.view.setUint32(controlAt(load, n) + CONTROL_SOURCE, 0x7f000000 + source)
}

/** Sends the first `count` datagrams and returns how many went. */
export function sendDatagrams(load: LoadSocket, count: number): number {
  const headers = load.memory.u8.subarray(0, load.size * HEADER_BYTES)
  let sent = 0
  while (sent < count) {
    const rest = sent === 0 ? headers : headers.subarray(sent * HEADER_BYTES)
    const went = load.libc.sendmmsg(load.socket.fd, rest, count - sent, 0)
    if (went < 0) break
    sent += went
  }
  return sent
}

/**
 * Waits for an answer, for a quarter of a second at most, and takes those that there are: how many.
 */
export function receiveDatagrams(load: LoadSocket): number {
  const { libc, memory, size, socket } = load
  const headers = memory.u8.subarray(size * HEADER_BYTES, 2 * size * HEADER_BYTES)
  const received = libc.recvmmsg(socket.fd, headers, size, MSG_WAITFORONE, null)
  return received < 0 ? 0 : received
}
