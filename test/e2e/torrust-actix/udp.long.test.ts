import { createSocket, type Socket } from 'node:dgram'
import { once } from 'node:events'
import t, { type Test } from 'tap'
import { connectPacket } from '../../frontends/udp/fixtures/packets.ts'
import { skipWithoutOriginal as skip } from '../fixtures/original.ts'
import { UDP_DIFFERENCES } from './fixtures/explained-udp.ts'
import { type Pair, startPair } from './fixtures/pair.ts'
import { type Members, SideBySide } from './fixtures/side-by-side.ts'
import { malformed, odd, type Packet, scrapes } from './fixtures/udp-packets.ts'

/** Silence is an answer too. */
const SILENCE_MILLIS = 1000

type Client = { readonly socket: Socket; readonly id: Buffer; readonly is6: boolean }

async function connectTo(t: Test, port: number, is6: boolean): Promise<Client> {
  const socket = createSocket(is6 ? 'udp6' : 'udp4')
  t.teardown(() => socket.close())
  socket.connect(port, is6 ? '::1' : '127.0.0.1')
  await once(socket, 'connect')
  const answer = await exchange(socket, connectPacket(1))
  if (!answer) throw new Error('no answer to the first connect')
  return { socket, id: answer.subarray(8, 16), is6 }
}

async function exchange(socket: Socket, bytes: Buffer): Promise<Buffer | undefined> {
  const timeout = AbortSignal.timeout(SILENCE_MILLIS)
  const received = once(socket, 'message', { signal: timeout })
  socket.send(bytes)
  try {
    const [answer] = (await received) as [Buffer]
    return answer
  } catch {
    return undefined
  }
}

async function ask({ socket, id, is6 }: Client, packet: Packet, n: number): Promise<Members> {
  let answer = await exchange(socket, packet.bytes(id, n))
  if (!answer) {
    // On a busy machine, silence counts only while the tracker answers other packets.
    let isAwake = false
    while (!isAwake) isAwake = (await exchange(socket, connectPacket(n))) !== undefined
    answer = await exchange(socket, packet.bytes(id, n))
  }
  if (!answer) return { status: 'silence' }
  const action = answer.readUInt32BE(0)
  const base = { status: action, isOfRequest: answer.readUInt32BE(4) === n }
  if (action === 3) return { ...base, text: answer.toString('latin1', 8) }
  if (action === 0) return { ...base, length: answer.length }
  if (action === 2) return { ...base, counts: answer.toString('hex', 8) }
  const peers = answer.toString('hex', 20).match(new RegExp(`.{${is6 ? 36 : 12}}`, 'g')) ?? []
  const [interval, leechers, seeders] = [8, 12, 16].map(at => answer.readUInt32BE(at))
  return { ...base, interval, leechers, seeders, peers: peers.sort() }
}

async function compareAll(t: Test, pair: Pair, comparison: SideBySide, is6: boolean) {
  const ports = ({ udp, udp6 }: Pair['original']) => (is6 ? udp6 : udp)
  const original = await connectTo(t, ports(pair.original), is6)
  const muster = await connectTo(t, ports(pair.muster), is6)
  let n = 100
  for (const packets of [odd(), scrapes(), malformed()]) {
    for (const packet of packets) {
      const wanted = await ask(original, packet, ++n)
      comparison.compare(packet.what, wanted, await ask(muster, packet, n))
    }
  }
}

t.test('UDP requests are answered as by Torrust-Actix', { skip }, async t => {
  const comparison = new SideBySide()
  const pair = await startPair(t)
  for (const is6 of [false, true]) await compareAll(t, pair, comparison, is6)
  comparison.report(t, UDP_DIFFERENCES)
})
