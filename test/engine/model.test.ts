import t, { type Test } from 'tap'
import { NO_ACCOUNTING } from '../../src/engine/accounting.ts'
import { answer, answerBytesMax } from '../../src/engine/answer.ts'
import { createTables, type Engine, openEngine } from '../../src/engine/engine.ts'
import { NO_LIMITS } from '../../src/engine/policy.ts'
import { createSweepCursor, sweepSlice, sweepSlicesPerPass } from '../../src/engine/sweep.ts'
import { sumFamilies, totals } from '../../src/engine/totals.ts'
import { allocate } from '../../src/protocol/bytes.ts'
import { Event, FAMILY, type Family, Flag } from '../../src/protocol/records.ts'
import { type AnnounceFields, readReply, writeAnnounce } from '../fixtures/announce-request.ts'
import { rounds } from '../fixtures/rounds.ts'
import { testSeed } from '../fixtures/seed.ts'
import { seededRandom } from '../fixtures/seeded-random.ts'
import { checkTables } from '../fixtures/swarm-integrity.ts'

type ModelPeer = {
  port: number
  left: number
  seen: number
  uploaded: number
  counted: boolean
}
type ModelTorrent = { completed: number; active: number; peers: Map<string, ModelPeer> }

const SETTINGS = {
  interval: 1800,
  intervalJitterPercent: 10,
  peersTimeout: 2700,
  persistent: false,
  notePeers: false,
  sharesDatabase: false,
  limits: NO_LIMITS,
  accounting: NO_ACCOUNTING,
}
const request = allocate(256)
const reply = allocate(65536)

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex')
}

/** The obvious tracker: what the tables must agree with after every step. */
class Model {
  readonly torrents = new Map<string, ModelTorrent>()
  /** Whether expired peers that the tables do not have may be here. */
  isUnsure = false

  announce(fields: AnnounceFields, now: number): void {
    const name = hex(fields.infoHash)
    const peer = `${hex(fields.peerId)} ${hex(fields.address)}`
    const left = fields.left ?? 0
    let torrent = this.torrents.get(name)
    if (fields.event === Event.stopped) {
      torrent?.peers.delete(peer)
      return
    }
    if (!torrent) {
      torrent = { completed: 0, active: now, peers: new Map() }
      this.torrents.set(name, torrent)
    }
    torrent.active = now
    const before = torrent.peers.get(peer)
    const counted = left === 0 && before?.counted === true
    const completed = fields.event === Event.completed && left === 0 && !counted
    if (completed) torrent.completed++
    torrent.peers.set(peer, {
      port: fields.port ?? 0,
      left,
      seen: now,
      uploaded: fields.uploaded ?? 0,
      counted: counted || completed,
    })
  }

  /**
   * Drops the expired peers of a torrent, as an announce does unless they are many or the torrent
   * is large: then they may be in the tables or not.
   */
  expireIn(infoHash: Uint8Array, limit: number): void {
    const peers = this.torrents.get(hex(infoHash))?.peers ?? new Map<string, ModelPeer>()
    const expired = [...peers].filter(([, { seen }]) => seen < limit)
    this.isUnsure = expired.length > 512 || peers.size > 4096
    if (this.isUnsure) return
    for (const [peer] of expired) peers.delete(peer)
  }

  /** Whether the peer that announces is an expired one, which the tables may have or not. */
  isExpired({ infoHash, peerId, address }: AnnounceFields, limit: number): boolean {
    const peers = this.torrents.get(hex(infoHash))?.peers
    const seen = peers?.get(`${hex(peerId)} ${hex(address)}`)?.seen
    return this.isUnsure && seen !== undefined && seen < limit
  }

  expire(limit: number): void {
    for (const [name, torrent] of this.torrents) {
      for (const [peer, { seen }] of torrent.peers) if (seen < limit) torrent.peers.delete(peer)
      if (torrent.peers.size === 0 && torrent.active < limit) this.torrents.delete(name)
    }
  }
}

function compare(t: Test, engine: Engine, model: Model, limit = 0): void {
  const found = checkTables(engine)
  t.equal(found.size, model.torrents.size, 'torrents')
  let peers = 0
  for (const [name, torrent] of model.torrents) {
    const there = found.get(name)
    if (!there) throw new Error(`torrent ${name} is lost`)
    if (there.completed !== torrent.completed) throw new Error('completed differs')
    for (const [id, { seen }] of torrent.peers) {
      if (seen < limit && !there.peers.has(id)) torrent.peers.delete(id)
    }
    if (there.peers.size !== torrent.peers.size) throw new Error('peers differ')
    for (const [id, peer] of torrent.peers) {
      const got = there.peers.get(id)
      if (
        got?.port !== peer.port ||
        got.left !== peer.left ||
        got.seen !== peer.seen ||
        got.uploaded !== peer.uploaded
      ) {
        throw new Error(`peer ${id} differs: ${JSON.stringify([got, peer])}`)
      }
      peers++
    }
  }
  const sum = totals(engine)
  t.equal(sumFamilies(sum.peers), peers, 'peers in the totals')
}

/** One random announce out of a small world, so that peers meet again. */
function randomAnnounce(
  random: (bound: number) => number,
  torrents: number,
  clients: number,
): AnnounceFields {
  const torrent = Math.min(random(torrents), random(torrents))
  const client = random(clients)
  const addressBytes = [16, 4, 4, 8][client % 4] as number
  const infoHash = Buffer.alloc(20, 7)
  infoHash.writeUInt32BE(torrent, 8)
  const peerId = Buffer.from('-MU0100-000000000000')
  peerId.writeUInt32BE(client >> 1, 12) // two clients share an id and differ in address
  const address = Buffer.alloc(addressBytes, 1)
  address.writeUInt32BE(0x1000_0000 + client * 7919, address.length - 4)
  const dice = random(10)
  return {
    infoHash,
    peerId,
    address,
    port: 2 + random(65534), // a peer at port 1 is not handed out
    event:
      dice < 2 ? Event.stopped : dice < 4 ? Event.completed : dice < 6 ? Event.started : Event.none,
    left: random(2) * (1 + random(2 ** 31)) * 4096,
    uploaded: random(2 ** 31) * 65536,
    numwant: random(80),
    flags:
      [0, Flag.bothFamilies, Flag.peerIds | Flag.dictionary, Flag.peerIds | Flag.bothFamilies][
        random(4)
      ] ?? 0,
  }
}

function run(
  t: Test,
  engine: Engine,
  world: { torrents: number; clients: number; steps: number; checkOneIn: number; seed: number },
) {
  const random = seededRandom(world.seed)
  const model = new Model()
  const cursor = createSweepCursor(0, 1)
  let now = 1_700_000_000
  for (let step = 1; step <= world.steps; step++) {
    let fields = randomAnnounce(random, world.torrents, world.clients)
    const limit = now - SETTINGS.peersTimeout
    while (model.isExpired(fields, limit)) {
      fields = randomAnnounce(random, world.torrents, world.clients)
    }
    writeAnnounce(request, fields)
    model.announce(fields, now)
    const max = answerBytesMax(request, 0)
    const bytes = answer(engine, request, 0, reply, 0, now)
    if (bytes > max) throw new Error(`a reply of ${bytes} bytes, more than ${max}`)
    model.expireIn(fields.infoHash, limit)
    if (random(world.checkOneIn) === 0)
      checkAnswer(readReply(reply, bytes, request.u8[FAMILY] as Family), fields, model, limit)
    if (random(100) === 0) now += random(100)
    if (step % (world.steps >> 3) === 0) {
      compare(t, engine, model, now - SETTINGS.peersTimeout)
      for (let n = 0; n < sweepSlicesPerPass(engine, cursor); )
        if (sweepSlice(engine, cursor, now)) n++
      model.expire(now - SETTINGS.peersTimeout)
      compare(t, engine, model)
      now += 900
    }
  }
}

/**
 * Hex of a peer's compact form; of the client's address behind a connection this world says
 * nothing.
 */
function compactName(address: string, port: number): string {
  return (
    (address.length === 16 ? address.padEnd(48, '0') : address) + port.toString(16).padStart(4, '0')
  )
}

/** Checks an answer against the swarm of the model. */
function checkAnswer(
  got: ReturnType<typeof readReply>,
  fields: AnnounceFields,
  model: Model,
  limit: number,
): void {
  const torrent = model.torrents.get(hex(fields.infoHash))
  const peers = torrent ? [...torrent.peers] : []
  const count = (isSeeder: boolean, since: number) =>
    peers.filter(([, { left, seen }]) => (left === 0) === isSeeder && seen >= since).length
  const fail = (why: string) => {
    throw new Error(`${why}: ${JSON.stringify({ got, fields })}`)
  }
  if (got.seeders < count(true, limit) || got.seeders > count(true, 0)) fail('seeders')
  if (got.leechers < count(false, limit) || got.leechers > count(false, 0)) fail('leechers')
  if (got.completed !== (torrent?.completed ?? 0)) fail('completed')
  const given = [...got.ipv4, ...got.ipv6, ...got.websocket]
  if (new Set(given).size !== given.length && peers.length < 2) fail('a peer twice')
  if (given.length > (fields.numwant ?? 0)) fail('more than wanted')
  if (fields.event === Event.stopped && given.length > 0) fail('peers for one who stops')
  const selfId = hex(fields.peerId)
  const selfAddress = hex(fields.address)
  const known = new Map(
    peers.map(([name, peer]) => [compactName(name.slice(41), peer.port), { name, peer }]),
  )
  const sameFamily = { 4: got.ipv4, 8: got.websocket, 16: got.ipv6 }[fields.address.length] ?? []
  const candidates = peers.filter(([name, peer]) => {
    const [id, address] = name.split(' ') as [string, string]
    if (address.length !== selfAddress.length || (id === selfId && address === selfAddress))
      return false
    return fields.left !== 0 || peer.left !== 0
  }).length
  const hasExpired = peers.some(([, { seen }]) => seen < limit)
  const most = Math.min(candidates, fields.numwant ?? 0)
  if (fields.event !== Event.stopped && sameFamily.length !== most && !hasExpired) {
    fail(`${sameFamily.length} peers of ${candidates}`)
  }
  given.forEach((compact, n) => {
    const there = known.get(compact)
    if (!there) throw new Error(`a peer that is not in the swarm: ${compact}`)
    if (there.peer.seen < limit) fail('an expired peer')
    if (there.name === `${selfId} ${selfAddress}`) fail('the recipient itself')
    if (fields.left === 0 && there.peer.left === 0) fail('a seeder for a seeder')
    const id = got.peerIds[n]
    if (id !== undefined && !there.name.startsWith(id)) fail('another peer’s id')
  })
}

t.test('the tables agree with a simple model, with large and small torrents', async t => {
  const seed = testSeed(t)
  for (const world of [
    { torrents: 5, clients: 40, steps: rounds(2500, 8000), checkOneIn: 1, seed },
    { torrents: 2000, clients: 60, steps: rounds(4000, 16_000), checkOneIn: 1, seed },
    { torrents: 1, clients: 5000, steps: rounds(6000, 16_000), checkOneIn: 20, seed },
  ]) {
    run(t, openEngine(createTables(64 * 2 ** 20), SETTINGS), world)
  }
})
