import { createHash } from 'node:crypto'
import { createSocket } from 'node:dgram'
import { type AddressInfo, createServer } from 'node:net'
import {
  Action,
  ANSWER_ACTION,
  ANSWER_TRANSACTION_ID,
  CONNECT_ANSWER_BYTES,
  PACKET_TRANSACTION_ID,
  REQUEST_HEADER_BYTES,
} from '../../src/protocol/udp/packet.ts'

/** RFC 6455 section 1.3. */
const WEBSOCKET_ID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11'

/** The answer to a WebSocket handshake; undefined for other requests. */
function handshakeAnswer(request: string): string | undefined {
  const [, key] = /^sec-websocket-key: (\S+)/im.exec(request) ?? []
  if (!key) return undefined
  const accept = createHash('sha1').update(`${key}${WEBSOCKET_ID}`).digest('base64')
  return `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`
}

/**
 * A process that receives what an attacker would send to a tracker, and discards it. An attacker on
 * the tracker's machine takes processor time; with a sink it takes that without an attack, too.
 * Sends its port to the parent process.
 */
const server = createServer(socket => {
  socket.on('error', () => {})
  socket.once('data', bytes => {
    const answer = handshakeAnswer(bytes.toString('latin1'))
    if (answer) socket.write(answer)
    socket.resume()
  })
})
server.listen(0, '127.0.0.1', () => {
  const { port } = server.address() as AddressInfo
  const udp = createSocket('udp4')
  udp.on('message', (packet, client) => {
    if (packet.length !== REQUEST_HEADER_BYTES) return
    const answer = Buffer.alloc(CONNECT_ANSWER_BYTES)
    answer.writeUInt32BE(Action.connect, ANSWER_ACTION)
    answer.writeUInt32BE(packet.readUInt32BE(PACKET_TRANSACTION_ID), ANSWER_TRANSACTION_ID)
    udp.send(answer, client.port, client.address)
  })
  udp.bind(port, '127.0.0.1', () => process.send?.(port))
})
process.once('disconnect', () => process.exit(0))
