import { createSocket, type RemoteInfo, type Socket } from 'node:dgram'
import { once } from 'node:events'
import { isIP } from 'node:net'
import { count, UdpCounter } from '../../counters/udp.ts'
import { allocate } from '../../protocol/bytes.ts'
import { parseAddress } from '../../protocol/ip.ts'
import { Family, type IpFamily } from '../../protocol/records.ts'
import { PACKET_AT, UDP_REPLY_BYTES, UDP_REQUEST_BYTES_MAX } from '../../protocol/udp/packet.ts'
import { createResponder, respond, type UdpService } from './respond.ts'
import type { UdpSocketOptions } from './socket.ts'

const ADDRESS_AT = UDP_REQUEST_BYTES_MAX
const REPLY_AT = ADDRESS_AT + 16

export type DgramServer = {
  readonly family: IpFamily
  readonly host: string
  readonly port: number
  close(): Promise<void>
}

/**
 * Answers datagrams through node:dgram, on the event loop: what receiveLoop does, more slowly, for
 * where recvmmsg cannot be called. Rejects where the address cannot be bound.
 */
export async function startDgramServer(
  options: UdpSocketOptions,
  service: UdpService,
): Promise<DgramServer> {
  const family = isIP(options.host) === 6 ? Family.ipv6 : Family.ipv4
  const socket = createSocket({
    type: family === Family.ipv6 ? 'udp6' : 'udp4',
    ipv6Only: family === Family.ipv6,
    ...(options.receiveBufferBytes > 0 && { recvBufferSize: options.receiveBufferBytes }),
    ...(options.sendBufferBytes > 0 && { sendBufferSize: options.sendBufferBytes }),
  })
  try {
    socket.bind(options.port, options.host)
    await once(socket, 'listening')
  } catch (error) {
    socket.close()
    throw error
  }
  serve(socket, service, family)
  return {
    family,
    host: options.host,
    port: socket.address().port,
    async close() {
      socket.close()
      await once(socket, 'close')
    },
  }
}

function serve(socket: Socket, service: UdpService, family: IpFamily): void {
  const { counters } = service
  const responder = createResponder(service, family)
  const memory = allocate(REPLY_AT + UDP_REPLY_BYTES)
  const sent = (error: Error | null): void => {
    count(counters, family, error ? UdpCounter.sendFailed : UdpCounter.sent, 1)
  }
  socket.on('error', () => count(counters, family, UdpCounter.receiveFailed, 1))
  socket.on('message', (message: Buffer, from: RemoteInfo) => {
    count(counters, family, UdpCounter.received, 1)
    if (message.length > UDP_REQUEST_BYTES_MAX) {
      count(counters, family, UdpCounter.truncated, 1)
      return
    }
    memory.u8.set(message)
    // A link-local address has its zone behind it, which is not part of the address.
    const address = parseAddress(from.address.split('%', 1)[0] as string)
    if (!address) return
    memory.u8.set(address, ADDRESS_AT)
    const now = service.nowSeconds()
    const bytes = respond(responder, memory, 0, message.length, ADDRESS_AT, REPLY_AT, now)
    if (bytes === 0) return
    // The socket keeps what it is given until it is sent, which may be after the next message.
    const answer = Buffer.from(
      memory.u8.subarray(REPLY_AT + PACKET_AT, REPLY_AT + PACKET_AT + bytes),
    )
    try {
      socket.send(answer, from.port, from.address, sent)
    } catch (error) {
      sent(error as Error)
    }
  })
}
