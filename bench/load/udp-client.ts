import type { Socket } from 'node:dgram'
import { once } from 'node:events'
import { COMPACT_BYTES, Family, HASH_BYTES } from '../../src/protocol/records.ts'
import {
  Action,
  ANNOUNCE_ANSWER_HEADER_BYTES,
  ANNOUNCE_PACKET_BYTES,
  ANSWER_ACTION,
  ANSWER_CONNECTION_ID,
  ANSWER_ENTRIES,
  ANSWER_ENTRY_BYTES,
  ANSWER_ENTRY_LEECHERS,
  ANSWER_TRANSACTION_ID,
  PACKET_ACTION,
  PACKET_CONNECTION_ID,
  PACKET_EVENT,
  PACKET_HASHES,
  PACKET_INFO_HASH,
  PACKET_LEFT,
  PACKET_NUM_WANT,
  PACKET_PEER_ID,
  PACKET_PORT,
  PACKET_TRANSACTION_ID,
  PROTOCOL_ID,
  REQUEST_HEADER_BYTES,
} from '../../src/protocol/udp/packet.ts'

export type UdpAnnounce = {
  readonly infoHash: Uint8Array
  readonly peerId: Uint8Array
  readonly port: number
  readonly left: number
  readonly event: number
}

const PEER_BYTES = COMPACT_BYTES[Family.ipv4]
const ANSWER_MILLIS_MAX = 2000

export function percentEncoded(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex').replace(/../g, '%$&')
}

/** A client of BEP 15 that waits for each answer, or only sends. */
export class UdpClient {
  readonly #socket: Socket
  readonly #port: number
  readonly #waiting = new Map<number, (answer: Buffer) => void>()
  #transaction = 1
  #connectionId: Buffer = Buffer.alloc(8)

  constructor(socket: Socket, port: number) {
    this.#socket = socket
    this.#port = port
    socket.on('message', answer => {
      if (answer.length < REQUEST_HEADER_BYTES) return
      this.#waiting.get(answer.readUInt32BE(ANSWER_TRANSACTION_ID))?.(answer)
    })
    socket.on('error', () => {})
  }

  /** Binds the socket to `address` and connects. */
  async open(address: string): Promise<void> {
    this.#socket.bind(0, address)
    await once(this.#socket, 'listening')
    while (!(await this.connect()));
  }

  async connect(): Promise<boolean> {
    const packet = Buffer.alloc(REQUEST_HEADER_BYTES)
    packet.writeUInt32BE(PROTOCOL_ID[0], PACKET_CONNECTION_ID)
    packet.writeUInt32BE(PROTOCOL_ID[1], PACKET_CONNECTION_ID + 4)
    const answer = await this.ask(packet)
    if (answer) this.#connectionId = answer.subarray(ANSWER_CONNECTION_ID, ANSWER_CONNECTION_ID + 8)
    return answer !== undefined
  }

  announcePacket({ infoHash, peerId, port, left, event }: UdpAnnounce): Buffer {
    const packet = this.#request(ANNOUNCE_PACKET_BYTES, Action.announce)
    packet.set(infoHash, PACKET_INFO_HASH)
    packet.set(peerId, PACKET_PEER_ID)
    packet.writeBigUInt64BE(BigInt(left), PACKET_LEFT)
    packet.writeUInt32BE(event, PACKET_EVENT)
    packet.writeInt32BE(-1, PACKET_NUM_WANT)
    packet.writeUInt16BE(port, PACKET_PORT)
    return packet
  }

  /** Whether the announce is answered with peers. */
  async announce(fields: UdpAnnounce): Promise<boolean> {
    const answer = await this.ask(this.announcePacket(fields))
    return answer?.readUInt32BE(ANSWER_ACTION) === Action.announce
  }

  /** The IPv4 peers in the answer, as bytes of the address and port. Empty without an answer. */
  async peersOf(fields: UdpAnnounce): Promise<Buffer[]> {
    const answer = await this.ask(this.announcePacket(fields))
    if (answer?.readUInt32BE(ANSWER_ACTION) !== Action.announce) return []
    const peers = answer.subarray(ANNOUNCE_ANSWER_HEADER_BYTES)
    return Array.from({ length: peers.length / PEER_BYTES }, (_, n) =>
      peers.subarray(n * PEER_BYTES, (n + 1) * PEER_BYTES),
    )
  }

  /** The leechers of all these torrents, at most 74. */
  async countLeechers(infoHashes: readonly Uint8Array[]): Promise<number> {
    const entries = await this.scrape(infoHashes)
    return infoHashes.reduce((sum, _, n) => {
      return sum + entries.readUInt32BE(n * ANSWER_ENTRY_BYTES + ANSWER_ENTRY_LEECHERS)
    }, 0)
  }

  /** The entries of a scrape of at most 74 torrents, repeated until it is answered. */
  async scrape(infoHashes: readonly Uint8Array[]): Promise<Buffer> {
    for (;;) {
      const size = PACKET_HASHES + infoHashes.length * HASH_BYTES
      const packet = this.#request(size, Action.scrape)
      infoHashes.forEach((hash, n) => {
        packet.set(hash, PACKET_HASHES + n * HASH_BYTES)
      })
      const answer = await this.ask(packet)
      if (answer?.readUInt32BE(ANSWER_ACTION) === Action.scrape)
        return answer.subarray(ANSWER_ENTRIES)
    }
  }

  send(packet: Buffer): void {
    this.#socket.send(packet, this.#port, '127.0.0.1')
  }

  /** Sends a packet; its answer, or undefined after two seconds. */
  ask(packet: Buffer): Promise<Buffer | undefined> {
    const transaction = this.#transaction++ >>> 0
    packet.writeUInt32BE(transaction, PACKET_TRANSACTION_ID)
    return new Promise(resolve => {
      const end = (answer?: Buffer) => {
        clearTimeout(timer)
        this.#waiting.delete(transaction)
        resolve(answer)
      }
      const timer = setTimeout(end, ANSWER_MILLIS_MAX)
      this.#waiting.set(transaction, end)
      this.send(packet)
    })
  }

  close(): void {
    this.#socket.close()
  }

  #request(bytes: number, action: number): Buffer {
    const packet = Buffer.alloc(bytes)
    packet.set(this.#connectionId, PACKET_CONNECTION_ID)
    packet.writeUInt32BE(action, PACKET_ACTION)
    return packet
  }
}
