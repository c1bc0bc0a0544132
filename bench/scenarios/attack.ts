import { createSocket } from 'node:dgram'
import { Agent, get } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import { ATTACKS, type Attack, type AttackerData } from '../load/attacker.ts'
import { percentEncoded, UdpClient } from '../load/udp-client.ts'
import { memoryMib, processTree, quantile } from '../measure.ts'
import { muster } from '../rivals/muster.ts'
import { bySize, createRows, type Plan, type Run, type Scenario } from '../scenario.ts'

const TORRENTS = 200
const HONEST_ADDRESSES = 20
const PEERS_PER_ADDRESS = 100
/** Hashes of one scrape. */
const SCRAPED = 50
/** Announces per second and protocol of the honest clients that are timed. */
const TIMED_RATE = 50
const ANSWER_MILLIS_MAX = 2000
/** A hash that no other client announces. */
const TIMED_TORRENT = TORRENTS

function hashOf(n: number): Buffer {
  return Buffer.from(`torrent${n}`.padEnd(20, '.'))
}

function idOf(n: number): Buffer {
  return Buffer.from(`-XX0001-${String(n).padStart(12, '0')}`)
}

async function openClient(port: number, address: string): Promise<UdpClient> {
  const client = new UdpClient(createSocket('udp4'), port)
  await client.open(address)
  return client
}

/** Enters the honest leechers, from several addresses. */
async function enterHonest(port: number): Promise<void> {
  for (let n = 0; n < HONEST_ADDRESSES; n++) {
    const client = await openClient(port, `127.0.1.${n + 1}`)
    for (let peer = 0; peer < PEERS_PER_ADDRESS; peer++) {
      const number = n * PEERS_PER_ADDRESS + peer
      const infoHash = hashOf(number % TORRENTS)
      const fields = { infoHash, peerId: idOf(number), port: 6881, left: 1, event: 2 }
      while (!(await client.announce(fields)));
    }
    client.close()
  }
}

async function countHonest(client: UdpClient): Promise<number> {
  let leechers = 0
  await client.connect()
  for (let n = 0; n < TORRENTS; n += SCRAPED) {
    leechers += await client.countLeechers(Array.from({ length: SCRAPED }, (_, i) => hashOf(n + i)))
  }
  return leechers
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

type Timed = { readonly millis: number[]; asked: number; answered: number }

/** Announces over UDP and HTTP at a steady rate, and records how long the answers take. */
async function timeHonest(port: number, client: UdpClient, seconds: number): Promise<Timed> {
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
  const waiting: Promise<void>[] = []
  for (const until = performance.now() + seconds * 1000; performance.now() < until; ) {
    if (timed.asked % (TIMED_RATE * 60) === 0) await client.connect()
    waiting.push(record(client.announce(peer)), record(announceOverHttp(port, agent)))
    await sleep(1000 / TIMED_RATE)
  }
  await Promise.all(waiting)
  agent.destroy()
  return timed
}

async function measure(attack: Attack, memory: string, plan: Plan): Promise<Run> {
  const config = {
    frontend: { workers: 1 },
    engine: { memory },
    limits: {},
    log: { level: 'info' },
  }
  const rival = muster({ config, udp: { threads: 1 } })
  const tracker = await rival.start({ infoHashes: [], bodyBytes: 0 })
  let lines = 0
  const counting = tracker.line(() => {
    lines++
    return false
  })
  counting.catch(() => {})
  try {
    await enterHonest(tracker.port)
    const client = await openClient(tracker.port, '127.0.2.1')
    const entered = await countHonest(client)
    const alone = await timeHonest(tracker.port, client, bySize(plan, 30, 10, 1))
    const linesBefore = lines
    const data: AttackerData = { attack, port: tracker.port, infoHash: hashOf(0) }
    const file = new URL('../load/attacker.js', import.meta.url)
    const attacker = new Worker(file, { workerData: data })
    const under = await timeHonest(tracker.port, client, secondsOf(plan))
    const mib = memoryMib(processTree(tracker.pid))
    await attacker.terminate()
    const p99Alone = quantile(alone.millis, 0.99)
    const p99 = quantile(under.millis, 0.99)
    const peersLost = entered - (await countHonest(client))
    client.close()
    return {
      peers: entered,
      peersLost,
      answeredPercent: (100 * under.answered) / under.asked,
      p99,
      p99Ratio: p99 / p99Alone,
      mib,
      logLines: lines - linesBefore,
    }
  } finally {
    await tracker.stop()
  }
}

/** Whether `--seconds` asks for long attacks, such as 600 s. */
function isLong({ seconds }: Plan): boolean {
  return seconds >= 10
}

/** Seconds of each attack. */
function secondsOf(plan: Plan): number {
  return isLong(plan) ? plan.seconds : bySize(plan, 60, 30, 2)
}

export const attack: Scenario = {
  name: 'attack',
  about: 'attacks of one address at 10 Mbit/s with the default limits: what honest clients notice',
  secondsMax: 3 * 3600,
  async run(plan) {
    const rows = createRows()
    const attacks = plan.size === 'smoke' ? [ATTACKS[0], ATTACKS[3]] : ATTACKS
    for (const memory of isLong(plan) ? ['64 MiB', '2 GiB'] : ['64 MiB']) {
      for (const kind of attacks) rows.add(`${kind}, ${memory}`, await measure(kind, memory, plan))
    }
    return {
      title: 'attacks of one address',
      options: { seconds: secondsOf(plan), honestPeers: HONEST_ADDRESSES * PEERS_PER_ADDRESS },
      rows: rows.rows,
      notes: [
        'The attacker and the timed clients share the machine with the tracker, so p99 includes their load.',
      ],
    }
  },
}
