import { createSocket } from 'node:dgram'
import { setTimeout as sleep } from 'node:timers/promises'
import {
  ANSWER_ENTRY_BYTES,
  ANSWER_ENTRY_LEECHERS,
  ANSWER_ENTRY_SEEDERS,
  SCRAPE_PACKET_HASHES_MAX,
} from '../../../src/protocol/udp/packet.ts'
import { UdpClient } from '../../load/udp-client.ts'
import { freePort } from '../../rivals/free-port.ts'
import { muster } from '../../rivals/muster.ts'
import type { NatsServer } from '../../rivals/nats.ts'
import type { RunningRival } from '../../rivals/rival.ts'

const TOKEN = 'the token of a bench, long enough to be one'
const SECRET = 'the same on all nodes of a bench, and long enough'
const POLL_MILLIS = 20
const WAIT_MILLIS_MAX = 60_000
/** The nodes thread reports its counters every half a second. */
const STATE_MILLIS = 600
const DRAIN_MILLIS_MAX = 15_000

export type BenchNode = RunningRival & { readonly apiPort: number }

export type NodeOptions = {
  /** Undefined for a tracker without [nodes]. */
  readonly nats?: NatsServer
  readonly cluster?: string
  readonly name?: string
  readonly config?: object
  /** More of the section [nodes]. */
  readonly nodes?: object
  readonly folder?: string
}

/** Starts a tracker with HTTP, one UDP thread and the API, all in one process. */
export async function startNode(options: NodeOptions = {}): Promise<BenchNode> {
  const { cluster = 'bench', config, folder, name = 'a', nats, nodes } = options
  const apiPort = await freePort()
  const rival = muster({
    udp: { threads: 1 },
    config: {
      frontend: { workers: 0 },
      api_server: [{ bind_address: `127.0.0.1:${apiPort}` }],
      tracker_config: { api_key: TOKEN },
      ...(nats && { nodes: { servers: [nats.url], cluster, name, secret: SECRET, ...nodes } }),
      ...config,
    },
    ...(folder && { folder }),
  })
  return { ...(await rival.start({ infoHashes: [], bodyBytes: 0 })), apiPort }
}

/** Starts two nodes that share a swarm, and resolves once each knows of the other. */
export async function startPair(
  nats: NatsServer,
  cluster: string,
  nodes: object = {},
): Promise<[BenchNode, BenchNode]> {
  const a = await startNode({ nats, cluster, name: 'a', nodes })
  await joined(a)
  const b = await startNode({ nats, cluster, name: 'b', nodes })
  await Promise.all([joined(b), a.line(({ msg }) => msg === 'a node is up')])
  return [a, b]
}

export async function joined(node: BenchNode): Promise<void> {
  await node.line(({ msg }) => msg?.startsWith('joined') === true)
}

export function callApi(node: BenchNode, method: string, path: string): Promise<Response> {
  const headers = { authorization: `Bearer ${TOKEN}` }
  return fetch(`http://127.0.0.1:${node.apiPort}${path}`, { method, headers })
}

/** Sums of the deltas that a node has sent, and of those that it has received. */
async function deltasOf(node: BenchNode): Promise<{ sent: number; received: number }> {
  const text = await (await callApi(node, 'GET', '/metrics')).text()
  const deltas = { sent: 0, received: 0 }
  for (const [, result, count] of text.matchAll(
    /^muster_nodes_deltas_total{result="(\w+)"} (\d+)/gm,
  ))
    deltas[result === 'sent' ? 'sent' : 'received'] += Number(count)
  return deltas
}

/** Waits until two nodes have received all that the other one sent. */
export async function drained(nodes: readonly [BenchNode, BenchNode]): Promise<void> {
  const end = performance.now() + DRAIN_MILLIS_MAX
  let last = ''
  while (performance.now() < end) {
    await sleep(STATE_MILLIS)
    const [a, b] = await Promise.all([deltasOf(nodes[0]), deltasOf(nodes[1])])
    const now = JSON.stringify([a, b])
    if (now === last && a.sent === b.received && b.sent === a.received) return
    last = now
  }
}

export async function openClient(node: BenchNode): Promise<UdpClient> {
  const client = new UdpClient(createSocket('udp4'), node.port)
  await client.open('127.0.0.1')
  return client
}

/** Seeders, downloads and leechers of all torrents, as bytes. */
export async function countsOf(
  client: UdpClient,
  infoHashes: readonly Uint8Array[],
): Promise<Buffer> {
  const entries: Buffer[] = []
  while (!(await client.connect()));
  for (let n = 0; n < infoHashes.length; n += SCRAPE_PACKET_HASHES_MAX)
    entries.push(await client.scrape(infoHashes.slice(n, n + SCRAPE_PACKET_HASHES_MAX)))
  return Buffer.concat(entries)
}

/** The peers of all torrents. */
export async function countPeers(
  client: UdpClient,
  infoHashes: readonly Uint8Array[],
): Promise<number> {
  const counts = await countsOf(client, infoHashes)
  let peers = 0
  for (let at = 0; at < counts.length; at += ANSWER_ENTRY_BYTES) {
    peers += counts.readUInt32BE(at + ANSWER_ENTRY_SEEDERS)
    peers += counts.readUInt32BE(at + ANSWER_ENTRY_LEECHERS)
  }
  return peers
}

/** Waits until `condition` holds. Returns the milliseconds that it took, or NaN if it does not. */
export async function millisUntil(
  condition: () => boolean | Promise<boolean>,
  pollMillis = POLL_MILLIS,
): Promise<number> {
  const begun = performance.now()
  while (!(await condition())) {
    if (performance.now() - begun > WAIT_MILLIS_MAX) return Number.NaN
    await sleep(pollMillis)
  }
  return performance.now() - begun
}
