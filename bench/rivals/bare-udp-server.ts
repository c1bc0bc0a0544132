import { createServer } from 'node:net'
import { openUdpSocket } from '../../src/frontends/udp/socket.ts'
import { openLibc } from '../../src/native/libc.ts'
import { allocate } from '../../src/protocol/bytes.ts'

/**
 * A minimal UDP server on recvmmsg and sendmmsg: it returns every datagram with the length of an
 * answer and the action and transaction id in their places. 64-bit Linux only.
 */
const BATCH = 256
const HEADER_BYTES = 64 // mmsghdr
const NAME_BYTES = 32
const PACKET_BYTES = 2048
const MSG_WAITFORONE = 0x10000
const SOCKET_BUFFER_BYTES = 4 * 2 ** 20
/** Offsets of action and transaction id in requests and answers. */
const REQUEST_AT = 8
const ANSWER_BYTES_MIN = 16

const [port = 0, bodyBytes = 0] = process.argv.slice(2).map(Number)
const answerBytes = Math.max(ANSWER_BYTES_MIN, bodyBytes)
const libc = openLibc()
const headers = allocate(BATCH * HEADER_BYTES)
const vectors = allocate(BATCH * 16)
const names = allocate(BATCH * NAME_BYTES)
const packets = allocate(BATCH * PACKET_BYTES)
// Keeps buffers reachable that only the kernel uses, so that V8 does not collect them.
Object.assign(globalThis, { written: [headers, vectors, names, packets] })

function describe(n: number, length: number): void {
  headers.view.setUint32(n * HEADER_BYTES + 8, NAME_BYTES, true)
  vectors.view.setUint32(n * 16 + 8, length, true)
}

for (let n = 0; n < BATCH; n++) {
  const pointer = (memory: typeof headers, at: number, to: number) =>
    memory.view.setBigUint64(at, BigInt(to), true)
  pointer(headers, n * HEADER_BYTES, libc.address(names.u8) + n * NAME_BYTES)
  pointer(headers, n * HEADER_BYTES + 16, libc.address(vectors.u8) + n * 16)
  headers.view.setUint32(n * HEADER_BYTES + 24, 1, true)
  pointer(vectors, n * 16, libc.address(packets.u8) + n * PACKET_BYTES)
  describe(n, PACKET_BYTES)
}
const socket = openUdpSocket({
  host: '127.0.0.1',
  port,
  receiveBufferBytes: SOCKET_BUFFER_BYTES,
  sendBufferBytes: SOCKET_BUFFER_BYTES,
})

function echoOnce(): void {
  const received = libc.recvmmsg(socket.fd, headers.u8, BATCH, MSG_WAITFORONE, null)
  for (let n = 0; n < received; n++) {
    const at = n * PACKET_BYTES
    packets.u8.copyWithin(at, at + REQUEST_AT, at + REQUEST_AT + 8)
    // Lengths of the sender's address and of the answer.
    vectors.view.setUint32(n * 16 + 8, answerBytes, true)
    headers.view.setUint32(n * HEADER_BYTES + 8, 16, true)
  }
  for (let sent = 0; sent < received; ) {
    const rest = headers.u8.subarray(sent * HEADER_BYTES)
    const went = libc.sendmmsg(socket.fd, rest, received - sent, 0)
    if (went <= 0) break
    sent += went
  }
  for (let n = 0; n < received; n++) describe(n, PACKET_BYTES)
}

// Accepts the connection that waits for the start. The echo never returns to the event loop after
// it.
createServer(connection => {
  connection.destroy()
  setImmediate(() => {
    for (;;) echoOnce()
  })
}).listen(port, '127.0.0.1')
