import { createSocket, type RemoteInfo, type Socket } from 'node:dgram'
import { once } from 'node:events'
import { isIP } from 'node:net'
import { networkInterfaces } from 'node:os'
import { count, UdpCounter } from '../../counters/udp.ts'
import { allocate } from '../../protocol/bytes.ts'
import { parseAddress } from '../../protocol/ip.ts'
import { Family, type IpFamily } from '../../protocol/records.ts'
import { PACKET_AT, UDP_REPLY_BYTES, UDP_REQUEST_BYTES_MAX } from '../../protocol/udp/packet.ts'
import {
  createDatagram,
  createResponder,
  type Responder,
  respond,
  type UdpService,
} from './respond.ts'
import { isWildcardAddress, type UdpSocketOptions } from './socket.ts'

const ADDRESS_AT = UDP_REQUEST_BYTES_MAX
const REPLY_AT = ADDRESS_AT + 16

/** Milliseconds between two checks for addresses that the machine gained or lost. */
const ADDRESSES_MILLIS = 5000

export type DgramServer = {
  readonly family: IpFamily
  readonly host: string
  readonly port: number
  /** From the next datagram on, answers are those of `service`. */
  setService(service: UdpService): void
  close(): Promise<void>
}

/**
 * Answers datagrams through node:dgram, on the event loop: the same as receiveLoop, but slower, for
 * systems where system calls cannot be made directly. Rejects if the address cannot be bound.
 *
 * node:dgram does not report the address that a datagram was sent to, but the answer must leave
 * from it. On a wildcard address each of the machine's addresses therefore has its own socket.
 * Addresses that are added or removed later are detected.
 */
export async function startDgramServer(
  options: UdpSocketOptions,
  service: UdpService,
): Promise<DgramServer> {
  const family = isIP(options.host) === 6 ? Family.ipv6 : Family.ipv4
  const isWildcard = isWildcardAddress(options.host)
  const state: State = {
    responder: createResponder(service, family),
    sockets: new Map(),
    isClosed: false,
  }
  const hosts = isWildcard ? localAddresses(family) : [options.host]
  const [first = options.host, ...others] = hosts
  const port = await open(state, options, first, options.port)
  const opened = await Promise.allSettled(others.map(host => open(state, options, host, port)))
  for (const outcome of opened) {
    if (outcome.status === 'fulfilled' || isUnavailable(outcome.reason)) continue
    await closeAll(state)
    throw outcome.reason
  }
  const timer = isWildcard
    ? setInterval(() => followAddresses(state, options, port), ADDRESSES_MILLIS)
    : undefined
  return {
    family,
    host: options.host,
    port,
    setService(next) {
      state.responder = createResponder(next, family)
    },
    close() {
      clearInterval(timer)
      state.isClosed = true
      return closeAll(state)
    },
  }
}

type State = {
  responder: Responder
  /** Sockets by address. */
  readonly sockets: Map<string, Socket>
  isClosed: boolean
}

/** Whether an address cannot be bound yet, such as an IPv6 address under duplicate detection. */
function isUnavailable(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).code === 'EADDRNOTAVAIL'
}

/** The machine's addresses, link-local ones with their zone. */
function localAddresses(family: IpFamily): string[] {
  return Object.entries(networkInterfaces()).flatMap(([name, addresses = []]) =>
    addresses
      .filter(address => (address.family === 'IPv6') === (family === Family.ipv6))
      .map(({ address }) => (address.startsWith('fe80:') ? `${address}%${name}` : address)),
  )
}

async function followAddresses(
  state: State,
  options: UdpSocketOptions,
  port: number,
): Promise<void> {
  const present = new Set(localAddresses(state.responder.family))
  for (const [host, socket] of state.sockets) {
    if (present.has(host)) continue
    state.sockets.delete(host)
    socket.close()
  }
  for (const host of present) {
    // An address that cannot be bound is tried again at the next check.
    if (!state.sockets.has(host)) await open(state, options, host, port).catch(() => {})
  }
  if (state.isClosed) await closeAll(state)
}

/** Opens a socket on `host` and returns its port. */
async function open(
  state: State,
  { receiveBufferBytes, sendBufferBytes }: UdpSocketOptions,
  host: string,
  port: number,
): Promise<number> {
  const isIpv6 = state.responder.family === Family.ipv6
  const socket = createSocket({
    type: isIpv6 ? 'udp6' : 'udp4',
    ipv6Only: isIpv6,
    ...(receiveBufferBytes > 0 && { recvBufferSize: receiveBufferBytes }),
    ...(sendBufferBytes > 0 && { sendBufferSize: sendBufferBytes }),
  })
  try {
    socket.bind(port, host)
    await once(socket, 'listening')
  } catch (error) {
    socket.close()
    throw error
  }
  state.sockets.set(host, socket)
  serve(socket, state)
  return socket.address().port
}

async function closeAll({ sockets }: State): Promise<void> {
  const all = [...sockets.values()]
  sockets.clear()
  await Promise.all(
    all.map(socket => {
      const closed = once(socket, 'close')
      socket.close()
      return closed
    }),
  )
}

function serve(socket: Socket, state: State): void {
  const memory = allocate(REPLY_AT + UDP_REPLY_BYTES)
  const datagram = { ...createDatagram(memory), replyAt: REPLY_AT }
  const { family, service } = state.responder
  const { counters } = service
  const sent = (error: Error | null): void => {
    count(counters, family, error ? UdpCounter.sendFailed : UdpCounter.sent, 1)
  }
  socket.on('error', () => count(counters, family, UdpCounter.receiveFailed, 1))
  socket.on('message', (message: Buffer, from: RemoteInfo) => {
    const { responder } = state
    count(counters, family, UdpCounter.received, 1)
    if (message.length > UDP_REQUEST_BYTES_MAX) {
      count(counters, family, UdpCounter.truncated, 1)
      return
    }
    memory.u8.set(message)
    // The zone of a link-local address follows it, and is not part of the address.
    const address = parseAddress(from.address.split('%', 1)[0] as string)
    if (!address) return
    memory.u8.set(address, ADDRESS_AT)
    const now = responder.service.nowSeconds()
    datagram.at = 0
    datagram.length = message.length
    datagram.addressAt = ADDRESS_AT
    const bytes = respond(responder, datagram, now)
    if (bytes === 0) return
    // Copied, because the socket may send it only after the next message.
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
