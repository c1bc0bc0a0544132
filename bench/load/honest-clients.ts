import { createSocket } from 'node:dgram'
import { Agent, get } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { percentEncoded, UdpClient } from './udp-client.ts'

const TORRENTS = 200
const ADDRESSES = 20
const PEERS_PER_ADDRESS = 100
export const HONEST_PEERS = ADDRESSES * PEERS_PER_ADDRESS
/** The first bytes of the addresses of honest peers. */
const HONEST_NETWORK = [127, 0, 1]
const SEEDERS = 100
/** Hashes of one scrape. */
const SCRAPED = 50
/** Announces per second and protocol of the clients that are timed, below the limit per address. */
const TIMED_RATE = 50
const ANSWER_MILLIS_MAX = 2000
/** A hash that no other client announces. */
const TIMED_TORRENT = TORRENTS
const SHARED_TORRENT = TORRENTS + 1

function hashOf(n: number): Buffer {
  return Buffer.from(`torrent${n}`.padEnd(20, '.'))
}

function idOf(n: number): Buffer {
  return Buffer.from(`-XX0001-${String(n).padStart(12, '0')}`)
}

/** The torrent with 100 honest seeders, which attacks of one torrent aim at. */
export const ATTACKED_HASH = hashOf(SHARED_TORRENT)

export async function openClient(port: number, address: string): Promise<UdpClient> {
  const client = new UdpClient(createSocket('udp4'), port)
  await client.open(address)
  return client
}

/**
 * Enters 2,000 leechers in 200 torrents, 100 of each address, and the seeders of ATTACKED_HASH,
 * each of its own address.
 */
export async function enterHonest(port: number): Promise<void> {
  for (let n = 0; n < ADDRESSES; n++) {
    const client = await openClient(port, `${HONEST_NETWORK.join('.')}.${n + 1}`)
    for (let peer = 0; peer < PEERS_PER_ADDRESS; peer++) {
      const number = n * PEERS_PER_ADDRESS + peer
      await enter(client, number, hashOf(number % TORRENTS), 1)
    }
    client.close()
  }
  for (let n = 0; n < SEEDERS; n++) {
    const client = await openClient(port, `${HONEST_NETWORK.join('.')}.${ADDRESSES + n + 1}`)
    await enter(client, HONEST_PEERS + n, ATTACKED_HASH, 0)
    client.close()
  }
}

async function enter(client: UdpClient, number: number, infoHash: Buffer, left: number) {
  const fields = { infoHash, peerId: idOf(number), port: 6881, left, event: 2 }
  while (!(await client.announce(fields)));
}

/** The honest leechers that the tracker reports. */
export async function countHonest(client: UdpClient): Promise<number> {
  let leechers = 0
  await client.connect()
  for (let n = 0; n < TORRENTS; n += SCRAPED) {
    leechers += await client.countLeechers(Array.from({ length: SCRAPED }, (_, i) => hashOf(n + i)))
  }
  return leechers
}

/** The honest and all peers in an answer for ATTACKED_HASH; 0 of 0 without an answer. */
export async function countAnswer(client: UdpClient): Promise<[honest: number, all: number]> {
  const fields = { infoHash: ATTACKED_HASH, peerId: idOf(3), port: 6884, left: 1, event: 0 }
  const peers = await client.peersOf(fields)
  const honest = peers.filter(peer => HONEST_NETWORK.every((byte, n) => peer[n] === byte))
  return [honest.length, peers.length]
}

function announceOverHttp(port: number, agent: Agent): Promise<boolean> {
  const query = `info_hash=${percentEncoded(hashOf(TIMED_TORRENT))}&peer_id=${percentEncoded(idOf(1))}`
  const path = `/announce?${query}&port=6882&left=0`
  return new Promise(resolve => {
    const request = get({ host: '127.0.0.1', localAddress: '127.0.2.2', port, path, agent })
    request.setTimeout(ANSWER_MILLIS_MAX, () => request.destroy())
    request.once('error', () => resolve(false))
    request.once('response', response => {
      let body = ''
      response.setEncoding('latin1').on('data', text => {
        body += text
      })
      response.once('close', () => resolve(body.startsWith('d8:complete')))
    })
  })
}

export type Timed = { readonly millis: number[]; asked: number; answered: number }

/** Announces over UDP and HTTP at a steady rate, and records how long the answers take. */
export async function timeHonest(port: number, client: UdpClient, seconds: number): Promise<Timed> {
  const timed: Timed = { millis: [], asked: 0, answered: 0 }
  const agent = new Agent({ keepAlive: true, maxSockets: 8 })
  const peer = { infoHash: hashOf(TIMED_TORRENT), peerId: idOf(2), port: 6883, left: 0, event: 0 }
  const record = async (answer: Promise<boolean>) => {
    const begun = performance.now()
    timed.asked++
    if (!(await answer)) return
    timed.answered++
    timed.millis.push(performance.now() - begun)
  }
  await client.connect()
  const waiting: Promise<void>[] = []
  for (const until = performance.now() + seconds * 1000; performance.now() < until; ) {
    waiting.push(record(client.announce(peer)), record(announceOverHttp(port, agent)))
    await sleep(1000 / TIMED_RATE)
  }
  await Promise.all(waiting)
  agent.destroy()
  return timed
}
