import { answer, createTables, type Engine, openEngine } from '../../src/engine/engine.ts'
import { createRandom, type Random, randomBelow } from '../../src/engine/tables/random.ts'
import { totals } from '../../src/engine/totals.ts'
import * as record from '../../src/protocol/announce-record.ts'
import { allocate, type Bytes } from '../../src/protocol/bytes.ts'

export const SETTINGS = {
  interval: 1800,
  intervalJitterPercent: 10,
  peersTimeout: 2700,
  persistent: false,
  notePeers: false,
}
const NUMWANT = 50

/** Writes the announce of client number `client`, a pure function of the number: no client is kept anywhere. */
export function writeClient(request: Bytes, client: number, torrents: number): void {
  const { u8, view } = request
  const spread = Math.imul(client, 0x9e3779b1) >>> 0
  // A quarter of the torrents have most of the peers.
  const torrent = (client & 3) === 0 ? spread % torrents : spread % Math.max(1, torrents >> 2)
  u8[record.KIND] = record.Kind.announce
  view.setUint16(record.NUMWANT, NUMWANT, true)
  view.setUint16(record.PORT, 1024 + (client & 0x7fff), true)
  view.setUint32(record.INFO_HASH, Math.imul(torrent, 0x85ebca6b), true)
  view.setUint32(record.INFO_HASH + 4, torrent, true)
  view.setUint32(record.PEER_ID + 8, spread, true)
  view.setUint32(record.PEER_ID + 12, client, true)
  view.setUint32(record.ADDRESS, 0x0a000000 + client)
  view.setUint32(record.LEFT, client % 10 < 7 ? 0 : 4096, true)
}

function announceMany(
  engine: Engine,
  request: Bytes,
  reply: Bytes,
  count: number,
  next: (n: number) => number,
  torrents: number,
): { nanoseconds: number; sum: number } {
  let sum = 0
  const begin = process.cpuUsage()
  for (let n = 0; n < count; n++) {
    writeClient(request, next(n), torrents)
    sum = (sum + answer(engine, request, 0, reply, 0, 1_700_000_000)) | 0
  }
  const { user, system } = process.cpuUsage(begin)
  return { nanoseconds: ((user + system) * 1000) / count, sum }
}

function measure(torrents: number, peers: number, announces: number, random: Random): string {
  const engine = openEngine(createTables(Math.max(64 * 2 ** 20, peers * 160)), SETTINGS)
  const request = allocate(record.ANNOUNCE_BYTES)
  const reply = allocate(16_384)
  const fill = announceMany(engine, request, reply, peers, n => n, torrents)
  const again = announceMany(
    engine,
    request,
    reply,
    announces,
    () => randomBelow(random, peers),
    torrents,
  )
  const sum = totals(engine)
  const perPeer = sum.bytesTaken / (sum.peers[0] + sum.peers[1])
  return (
    `${String(torrents).padStart(9)} torrents ${String(peers).padStart(9)} peers: ` +
    `fill ${fill.nanoseconds.toFixed(0).padStart(5)} ns, announce ${again.nanoseconds.toFixed(0).padStart(5)} ns ` +
    `(${(1000 / again.nanoseconds).toFixed(2)} M/s), ${perPeer.toFixed(1)} bytes a peer, sum ${again.sum >>> 0}`
  )
}

/** The engine alone, one thread: time per announce for numwant 50, and memory, from small swarms to large. */
export function run(smoke: boolean): void {
  const random = createRandom(42)
  const sizes: [number, number][] = smoke
    ? [[100, 1000]]
    : [
        [1000, 10_000],
        [10_000, 100_000],
        [10_000, 1_000_000],
        [1_000_000, 5_000_000],
        [1_000_000, 10_000_000],
        [1, 1_000_000],
      ]
  measure(100, 1000, smoke ? 1000 : 1_000_000, random)
  for (const [torrents, peers] of sizes) {
    console.log(measure(torrents, peers, smoke ? 1000 : 2_000_000, random))
  }
}
