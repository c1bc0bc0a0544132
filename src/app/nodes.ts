import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { hostname } from 'node:os'
import type { NodeNumbers } from '../admin/admin.ts'
import type { SharedLists } from '../admin/shared-lists.ts'
import type { Config } from '../config/config.ts'
import { createDeltaRing, type SharedDeltaRing } from '../engine/delta-ring.ts'
import type { Engine, EngineSettings, EngineTables } from '../engine/engine.ts'
import { sumFamilies, totals } from '../engine/totals.ts'
import { configError } from '../errors.ts'
import type { Part } from '../lifecycle.ts'
import type { Logger } from '../log.ts'
import { Nodes } from '../nodes/nodes.ts'
import { musterVersion } from '../version.ts'

export type OpenNodesOptions = {
  readonly config: Config
  readonly tables: EngineTables
  readonly settings: EngineSettings
  readonly clockOffset: number
  /** Folder of the sockets between workers. */
  readonly folder: string
  readonly log: Logger
  readonly died: (thread: string, error: unknown) => void
}

/** The other nodes, and a ring for each thread that answers announces. */
export type OpenNodes = {
  readonly nodes: Nodes
  readonly engineRings: readonly SharedDeltaRing[]
  readonly udpRings: readonly SharedDeltaRing[]
}

/** Undefined where the configuration has no other nodes. */
export function openNodes(options: OpenNodesOptions): OpenNodes | undefined {
  const { clockOffset, config, died, folder, log, settings, tables } = options
  const { engine, nodes: section, udp_server: udp } = config
  if (section.servers.length === 0) return undefined
  const udpThreads = udp.reduce((sum, server) => sum + (server.enabled ? server.udp_threads : 0), 0)
  const ringsOf = (count: number) =>
    Array.from({ length: count }, () =>
      createDeltaRing({ withCounts: section.counts, withWebsocket: true }),
    )
  const engineRings = ringsOf(engine.threads)
  const udpRings = ringsOf(udpThreads)
  checkFiles(section)
  const name = section.name || hostname().replace(/[^A-Za-z0-9_-]/g, '-')
  const start = {
    tables,
    settings,
    clockOffset,
    rings: [...engineRings, ...udpRings],
    folder,
    nats: {
      servers: section.servers,
      name,
      user: section.user,
      password: section.password,
      tlsCa: section.tls_ca,
      tlsCert: section.tls_cert,
      tlsKey: section.tls_key,
    },
    cluster: section.cluster,
    name,
    version: musterVersion(),
    backlogBytesMax: section.backlog * 2 ** 20,
    joinSeconds: section.join_timeout,
    leases: section.leases,
    digest: settingsDigest(config),
  }
  return { nodes: new Nodes({ start, log, died }), engineRings, udpRings }
}

/** Throws an OperatorError for a file of TLS that cannot be read. */
function checkFiles(section: Config['nodes']): void {
  const faults: string[] = []
  for (const key of ['tls_ca', 'tls_cert', 'tls_key'] as const) {
    if (section[key] === '') continue
    try {
      readFileSync(section[key])
    } catch (error) {
      faults.push(`nodes.${key}: cannot read the file: ${(error as Error).message}`)
    }
  }
  if (faults.length > 0) throw configError(faults)
}

/** The nodes for the dashboard, this one first. */
export function nodeNumbers(nodes: Nodes | undefined, engine: Engine): NodeNumbers[] {
  const state = nodes?.state
  if (!nodes || !state) return []
  const { peers, torrents } = totals(engine)
  const own: NodeNumbers = {
    name: nodes.name,
    version: musterVersion(),
    up: state.connected,
    joined: state.joined,
    lag: 0,
    torrents,
    peers: sumFamilies(peers),
    announces: Math.round(state.rate),
    differs: false,
  }
  const others = state.nodes.map(({ clock, rate, refused, ...node }) => ({
    ...node,
    announces: Math.round(rate),
  }))
  return [own, ...others]
}

/** Seconds between readings of the lists while no NATS server is connected. */
const READ_SECONDS = 60

/** Sends administrative changes to the other nodes, and applies the changes of the others. */
export function shareLists(nodes: Nodes, shared: SharedLists, log: Logger): Part {
  const read = () =>
    shared.read().catch(error => {
      log.error({ err: error }, 'could not read lists and keys from the database')
    })
  const encode = (change: object) => nodes.publish(Buffer.from(JSON.stringify(change)))
  shared.publish = encode
  shared.publishReload = () => encode({ op: 'reload' })
  nodes.onMissed = read
  nodes.onChange = async bytes => {
    try {
      const change = JSON.parse(Buffer.from(bytes).toString('utf8'))
      if (change?.op === 'reload') await read()
      else await shared.apply(change)
    } catch (error) {
      log.error({ err: error }, 'could not apply a change of another node')
    }
  }
  const timer = setInterval(() => {
    if (nodes.state?.connected === false) void read()
  }, READ_SECONDS * 1000)
  return {
    async stop() {
      clearInterval(timer)
    },
  }
}

/** A digest of the settings that all nodes should share. */
export function settingsDigest({ accounting, limits, tracker_config }: Config): string {
  const { api_key, api_key_file, prometheus_id, swagger, ...tracker } = tracker_config
  const text = JSON.stringify([tracker, limits, accounting])
  return createHash('sha256').update(text).digest('hex').slice(0, 16)
}
