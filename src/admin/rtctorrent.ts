import { checkRequest } from '../engine/check-request.ts'
import type { Engine } from '../engine/engine.ts'
import { Failure } from '../protocol/failures.ts'
import { formatAddress } from '../protocol/ip.ts'
import {
  ADDRESS,
  EVENT,
  Event,
  FAMILY,
  Family,
  HASH_BYTES,
  INFO_HASH,
  LEFT,
  PEER_ID,
} from '../protocol/records.ts'
import type { Description, RtcReply, RtcRequest } from '../protocol/rtctorrent.ts'

/** Peers in all torrents. The one that announced longest ago is removed for a new one. */
const PEERS_MAX = 50_000
/** Characters of all offers and answers. Peers are removed in the same order beyond it. */
const CHARACTERS_MAX = 64 * 1024 * 1024
/** Peers of one address in all torrents. */
const PEERS_PER_ADDRESS_MAX = 200
/** Offers in a reply. */
const OFFERS_MAX = 20
/** Answers that wait for a seeder. The oldest is dropped for a new one. */
const ANSWERS_MAX = 32

type Peer = {
  readonly key: string
  readonly id: string
  readonly swarm: Swarm
  readonly address: string
  isSeeder: boolean
  /** Unix seconds of the last announce. */
  seen: number
  offer: string
  /** By the peer id that sent it. */
  readonly answers: Map<string, string>
}

type Swarm = { readonly hash: string; readonly peers: Map<string, Peer> }

const NOTHING = { seeders: 0, leechers: 0, offers: [], answers: [] } as const

/**
 * Offers and answers of RtcTorrent clients, in the primary process, so that any worker serves any
 * client. These peers are not in the swarms of other clients, which could not reach them.
 */
export class RtcTorrents {
  readonly #engine: Engine
  readonly #timeout: () => number
  readonly #nowSeconds: () => number
  readonly #swarms = new Map<string, Swarm>()
  /** All peers, the one that announced longest ago first. */
  readonly #peers = new Map<string, Peer>()
  readonly #perAddress = new Map<string, number>()
  #characters = 0

  /** `timeout` is the time in seconds without an announce after which a peer is removed. */
  constructor(engine: Engine, timeout: () => number, nowSeconds: () => number) {
    this.#engine = engine
    this.#timeout = timeout
    this.#nowSeconds = nowSeconds
  }

  get size(): number {
    return this.#peers.size
  }

  announce({ answer, answerFor, offer, record }: RtcRequest): RtcReply {
    const now = this.#nowSeconds()
    this.#expire(now - this.#timeout())
    const bytes = Buffer.from(record.buffer, record.byteOffset, record.byteLength)
    const hash = bytes.toString('hex', INFO_HASH, INFO_HASH + HASH_BYTES)
    const id = bytes.toString('hex', PEER_ID, PEER_ID + HASH_BYTES)
    const address = addressOf(bytes)
    const known = this.#peers.get(`${hash}${id}`)
    const isOwn = known?.address === address
    if (bytes[EVENT] === Event.stopped) {
      if (known && isOwn) this.#remove(known)
      return { failure: Failure.none, ...NOTHING }
    }
    const failure = checkRequest(this.#engine, record, now)
    if (failure !== Failure.none) return { failure, ...NOTHING }
    const swarm = this.#swarms.get(hash) ?? { hash, peers: new Map() }
    const isSeeder = bytes.readBigUInt64LE(LEFT) === 0n
    // A peer id is public: only the address that announced it first may use it until it times out.
    const peer = isOwn ? known : known ? undefined : this.#add(swarm, id, address)
    if (peer) this.#update(peer, { isSeeder, now, offer })
    if (answer !== undefined && answerFor !== undefined)
      leaveAnswer(this, swarm, id, answer, answerFor)
    const { leechers, seeders } = count(swarm)
    return {
      failure,
      seeders,
      leechers,
      offers: isSeeder || answer !== undefined ? [] : offersOf(swarm, id),
      answers: peer ? this.#takeAnswers(peer) : [],
    }
  }

  /** Adds to the characters that are stored. */
  account(characters: number): void {
    this.#characters += characters
  }

  #add(swarm: Swarm, id: string, address: string): Peer | undefined {
    const peers = this.#perAddress.get(address) ?? 0
    if (peers >= PEERS_PER_ADDRESS_MAX) return undefined
    this.#perAddress.set(address, peers + 1)
    this.#swarms.set(swarm.hash, swarm)
    const key = `${swarm.hash}${id}`
    const peer: Peer = {
      ...{ key, id, swarm, address, isSeeder: false, seen: 0, offer: '' },
      answers: new Map(),
    }
    swarm.peers.set(id, peer)
    this.#peers.set(key, peer)
    return peer
  }

  #update(peer: Peer, to: { isSeeder: boolean; now: number; offer: string | undefined }): void {
    peer.isSeeder = to.isSeeder
    peer.seen = to.now
    if (to.offer !== undefined) {
      this.#characters += to.offer.length - peer.offer.length
      peer.offer = to.offer
    }
    this.#peers.delete(peer.key)
    this.#peers.set(peer.key, peer)
    for (const oldest of this.#peers.values()) {
      const isFull = this.#peers.size > PEERS_MAX || this.#characters > CHARACTERS_MAX
      if (!isFull || oldest === peer) break
      this.#remove(oldest)
    }
  }

  #takeAnswers(peer: Peer): Description[] {
    const answers = [...peer.answers]
    for (const [, text] of answers) this.#characters -= text.length
    peer.answers.clear()
    return answers
  }

  #expire(before: number): void {
    for (const peer of this.#peers.values()) {
      if (peer.seen >= before) return
      this.#remove(peer)
    }
  }

  #remove(peer: Peer): void {
    this.#takeAnswers(peer)
    this.#characters -= peer.offer.length
    this.#peers.delete(peer.key)
    peer.swarm.peers.delete(peer.id)
    if (peer.swarm.peers.size === 0) this.#swarms.delete(peer.swarm.hash)
    const peers = (this.#perAddress.get(peer.address) ?? 1) - 1
    if (peers > 0) this.#perAddress.set(peer.address, peers)
    else this.#perAddress.delete(peer.address)
  }
}

function leaveAnswer(
  store: RtcTorrents,
  { peers }: Swarm,
  from: string,
  text: string,
  to: string,
): void {
  const peer = peers.get(to)
  if (!peer || peer.id === from) return
  store.account(text.length - (peer.answers.get(from)?.length ?? 0))
  peer.answers.set(from, text)
  const [oldest] = peer.answers
  if (peer.answers.size > ANSWERS_MAX && oldest) {
    store.account(-oldest[1].length)
    peer.answers.delete(oldest[0])
  }
}

/** Offers of seeders, the least recently handed out first. */
function offersOf({ peers }: Swarm, except: string): Description[] {
  const offers: Description[] = []
  const handedOut: Peer[] = []
  for (const peer of peers.values()) {
    if (offers.length === OFFERS_MAX) break
    if (!peer.isSeeder || peer.offer === '' || peer.id === except) continue
    offers.push([peer.id, peer.offer])
    handedOut.push(peer)
  }
  for (const peer of handedOut) {
    peers.delete(peer.id)
    peers.set(peer.id, peer)
  }
  return offers
}

function count({ peers }: Swarm): { seeders: number; leechers: number } {
  let seeders = 0
  for (const peer of peers.values()) if (peer.isSeeder) seeders++
  return { seeders, leechers: peers.size - seeders }
}

function addressOf(bytes: Buffer): string {
  const length = bytes[FAMILY] === Family.ipv4 ? 4 : 16
  return formatAddress(bytes, ADDRESS, length)
}
