import { createRandom, randomBelow } from '../../src/engine/tables/random.ts'
import {
  Action,
  ANNOUNCE_PACKET_BYTES,
  ANSWER_ACTION,
  ANSWER_CONNECTION_ID,
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
  PACKET_UPLOADED,
  PROTOCOL_ID,
  REQUEST_HEADER_BYTES,
} from '../../src/protocol/udp/packet.ts'
import {
  Event,
  infoHashOf,
  isSeeder,
  type Mix,
  numwantOf,
  randomEvent,
  torrentOf,
  userKeyOf,
} from './mix.ts'
import {
  addressDatagram,
  type LoadSocket,
  openLoadSocket,
  receiveDatagrams,
  receivedAt,
  receivedBytes,
  sendDatagrams,
  sentAt,
} from './udp-batch.ts'

/**
 * Load generator, a process of its own, told what to do by messages. A client always has the same
 * torrent, address, port and peer id, so that filling once enters all peers and every later
 * announce finds its own.
 */
export type UdpLoad = {
  readonly port: number
  readonly mix: Mix
  /**
   * Number of users that the clients belong to. Announces then have the key of the client's user in
   * their path (BEP 41), come from the address of the user, and report more uploaded bytes each
   * time.
   */
  readonly users?: number
  /** Number of the first client. Generators with different clients can load the same swarms. */
  readonly firstClient?: number
  /**
   * Requests per second, sent in bursts of a millisecond or more. A run at a rate ends when the
   * tracker stops answering. Undefined sends as fast as the tracker answers.
   */
  readonly rate?: number
}

export type UdpCommand =
  | { readonly does: 'fill' }
  | { readonly does: 'run'; readonly seconds: number }

export type UdpReport = {
  sent: number
  answered: number
  /** Requests without an answer, and error packets. */
  lost: number
  errors: number
  seconds: number
  /** Bytes of an answer, on average. */
  answerBytes: number
  /** Share of one core that the generator used. */
  busy: number
}

/** Requests on the way at most: enough to keep a tracker busy, too few to overrun its socket. */
const WINDOW = 384
/** Maximum. Few clients use fewer. */
const ADDRESSES_MAX = 16_384
/** Connects at once: as many as the default receive buffer of Linux holds. */
const CONNECTS = 128
const SCRAPED_HASHES = 4
const CONNECT_MILLIS_MAX = 10_000
const BURST_MILLIS = 1
const pause = new Int32Array(new SharedArrayBuffer(4))

function createUdpGenerator({ firstClient = 0, mix, port, rate, users = 0 }: UdpLoad) {
  const load = openLoadSocket(port, WINDOW)
  const { memory } = load
  const random = createRandom(mix.seed)
  const addresses = Math.min(ADDRESSES_MAX, mix.clients)
  /** Connection ids, in two words. */
  const ids = new Int32Array(addresses * 2)
  const hashes = Array.from({ length: mix.torrents }, (_, n) => infoHashOf(n))
  const options = Array.from({ length: users }, (_, n) => pathOption(`/${userKeyOf(n)}/announce`))
  let uploaded = 0

  /** All peers of a user have one address. */
  const addressOf = (peer: number): number => {
    const who = users > 0 ? peer % users : peer
    return (Math.imul(who, 0x85ebca6b) >>> 8) % addresses
  }

  function header(at: number, address: number, action: number): void {
    memory.view.setInt32(at + PACKET_CONNECTION_ID, ids[address * 2] as number)
    memory.view.setInt32(at + PACKET_CONNECTION_ID + 4, ids[address * 2 + 1] as number)
    memory.view.setInt32(at + PACKET_ACTION, action)
    memory.view.setInt32(at + PACKET_TRANSACTION_ID, address)
  }

  function writeAnnounce(n: number, peer: number, event: number): void {
    const at = sentAt(load, n)
    const address = addressOf(peer)
    const { u8, view } = memory
    // A scrape may have been here before.
    u8.fill(0, at, at + ANNOUNCE_PACKET_BYTES)
    header(at, address, Action.announce)
    u8.set(hashes[torrentOf(peer, mix.torrents)] as Buffer, at + PACKET_INFO_HASH)
    view.setUint32(at + PACKET_PEER_ID, 0x2d714234)
    view.setUint32(at + PACKET_PEER_ID + 12, Math.imul(peer, 0xc2b2ae35) >>> 0)
    view.setUint32(at + PACKET_PEER_ID + 16, peer)
    view.setUint32(at + PACKET_LEFT + 4, isSeeder(peer) ? 0 : 1_000_000)
    view.setInt32(at + PACKET_EVENT, event)
    view.setInt32(at + PACKET_NUM_WANT, numwantOf(peer, mix.numwant))
    view.setUint16(at + PACKET_PORT, 1024 + (peer % 60_000))
    const option = options[peer % users]
    if (option) {
      view.setUint32(at + PACKET_UPLOADED + 4, uploaded++)
      u8.set(option, at + ANNOUNCE_PACKET_BYTES)
    }
    const bytes = ANNOUNCE_PACKET_BYTES + (option?.length ?? 0)
    addressDatagram(load, n, sourceOf(address), bytes)
  }

  function writeScrape(n: number, peer: number): void {
    const at = sentAt(load, n)
    const address = addressOf(peer)
    header(at, address, Action.scrape)
    for (let hash = 0; hash < SCRAPED_HASHES; hash++) {
      memory.u8.set(
        hashes[torrentOf(peer + hash, mix.torrents)] as Buffer,
        at + PACKET_HASHES + hash * 20,
      )
    }
    addressDatagram(load, n, sourceOf(address), REQUEST_HEADER_BYTES + SCRAPED_HASHES * 20)
  }

  /** Gets a connection id for each address; asks again for those that got none. */
  function connect(): void {
    const missing = new Set(Array(addresses).keys())
    const until = performance.now() + CONNECT_MILLIS_MAX
    while (missing.size > 0) {
      if (performance.now() > until) throw new Error('the tracker gives no connection ids')
      const asked = [...missing].slice(0, CONNECTS)
      asked.forEach((address, n) => {
        const at = sentAt(load, n)
        memory.view.setInt32(at, PROTOCOL_ID[0])
        memory.view.setInt32(at + 4, PROTOCOL_ID[1])
        memory.view.setInt32(at + PACKET_ACTION, Action.connect)
        memory.view.setInt32(at + PACKET_TRANSACTION_ID, address)
        addressDatagram(load, n, sourceOf(address), REQUEST_HEADER_BYTES)
      })
      sendDatagrams(load, asked.length)
      for (let left = asked.length; left > 0; ) {
        const received = receiveDatagrams(load)
        if (received === 0) break
        left -= received
        for (let n = 0; n < received; n++) {
          const at = receivedAt(load, n)
          const address = memory.view.getInt32(at + ANSWER_TRANSACTION_ID)
          if (memory.view.getInt32(at + ANSWER_ACTION) !== Action.connect) continue
          ids[address * 2] = memory.view.getInt32(at + ANSWER_CONNECTION_ID)
          ids[address * 2 + 1] = memory.view.getInt32(at + ANSWER_CONNECTION_ID + 4)
          missing.delete(address)
        }
      }
      // It may not listen yet, and a closed port answers at once.
      if (missing.size === addresses) Atomics.wait(pause, 0, 0, 20)
    }
  }

  /** Requests that should have been sent by now. */
  function dueSince(begun: number): number {
    if (rate === undefined) return Number.POSITIVE_INFINITY
    return Math.ceil(((performance.now() - begun) / 1000) * rate)
  }

  /** Fills the window with what `write` writes until it returns false, and reads all answers. */
  function generate(write: (n: number) => boolean, until: () => boolean): UdpReport {
    const cpu = process.cpuUsage()
    const begun = performance.now()
    const report: UdpReport = {
      sent: 0,
      answered: 0,
      lost: 0,
      errors: 0,
      seconds: 0,
      answerBytes: 0,
      busy: 0,
    }
    let waiting = 0
    for (let more = true; more || waiting > 0; ) {
      const due = dueSince(begun) - report.sent
      let written = 0
      while (more && waiting + written < WINDOW && written < due) {
        if (!write(written)) more = false
        else written++
      }
      if (waiting + written === 0) {
        Atomics.wait(pause, 0, 0, BURST_MILLIS)
        more &&= until()
        continue
      }
      const sent = sendDatagrams(load, written)
      report.sent += sent
      waiting += sent
      const received = receiveDatagrams(load)
      if (received === 0) {
        report.lost += waiting
        waiting = 0
        more &&= rate === undefined
      }
      for (let n = 0; n < received; n++) countAnswer(load, n, report)
      waiting -= Math.min(waiting, received)
      more &&= until()
    }
    const { user, system } = process.cpuUsage(cpu)
    report.seconds = (performance.now() - begun) / 1000
    report.busy = (user + system) / 1e6 / report.seconds
    report.answerBytes /= Math.max(1, report.answered)
    return report
  }

  return {
    fill(): UdpReport {
      connect()
      let peer = 0
      return generate(
        n => {
          if (peer === mix.clients) return false
          writeAnnounce(n, firstClient + peer++, Event.started)
          return true
        },
        () => true,
      )
    },
    run(seconds: number): UdpReport {
      connect()
      const end = performance.now() + seconds * 1000
      return generate(
        n => {
          const peer = firstClient + randomBelow(random, mix.clients)
          if (randomBelow(random, 1000) < mix.scrapes * 1000) writeScrape(n, peer)
          else writeAnnounce(n, peer, mix.events ? randomEvent(random) : Event.none)
          return true
        },
        () => performance.now() < end,
      )
    },
  }
}

/** The URLData option of BEP 41 with this path. */
function pathOption(path: string): Buffer {
  return Buffer.concat([Buffer.from([URL_DATA, path.length]), Buffer.from(path)])
}

const URL_DATA = 2

/** 127.1.0.0 and up, none of which ends in 0. */
function sourceOf(address: number): number {
  return 0x010000 + (address >> 7) * 256 + (address & 127) + 1
}

function countAnswer(load: LoadSocket, n: number, report: UdpReport): void {
  const action = load.memory.view.getInt32(receivedAt(load, n) + ANSWER_ACTION)
  if (action === Action.announce || action === Action.scrape) {
    report.answered++
    report.answerBytes += receivedBytes(load, n)
  } else report.errors++
}

if (process.send) {
  const generator = createUdpGenerator(JSON.parse(process.argv[2] ?? '{}') as UdpLoad)
  process.on('message', (command: UdpCommand) => {
    process.send?.(command.does === 'fill' ? generator.fill() : generator.run(command.seconds))
  })
}
