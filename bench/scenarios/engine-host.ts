import { rmSync } from 'node:fs'
import { MessageChannel } from 'node:worker_threads'
import { createClockOffset } from '../../src/clock.ts'
import { answer } from '../../src/engine/answer.ts'
import { createTables, type EngineTables, openEngine } from '../../src/engine/engine.ts'
import type { Link } from '../../src/link/link.ts'
import { connectPortLink } from '../../src/link/port.ts'
import { connectSocketLink } from '../../src/link/socket.ts'
import { allocate } from '../../src/protocol/bytes.ts'
import { ANNOUNCE_BYTES, NUMWANT } from '../../src/protocol/records.ts'
import { type EngineThreads, startEngineThreads } from '../../src/threads/engine-threads.ts'
import { NOW, SETTINGS, writeMember } from '../micro/clients.ts'
import { memoryFor } from '../micro/engine.ts'
import { benchFolder } from '../rivals/muster.ts'

/** Longer than any measurement. */
export const NO_SWEEP_SECONDS = 1e9

/** Starts the program's engine threads on given tables. */
export type EngineHost = {
  link(transport: Transport): Promise<Link>
  stop(): Promise<void>
}

export type Transport = 'MessagePort' | 'Unix socket'

export type HostOptions = {
  readonly tables: EngineTables
  /** Seconds of a sweep pass over all stripes. */
  readonly sweepSeconds: number
  /** Start of the threads' clock in seconds since NOW. */
  readonly later?: number
}

export async function startEngineHost(options: HostOptions): Promise<EngineHost> {
  const folder = benchFolder()
  const threads: EngineThreads = startEngineThreads(
    {
      tables: options.tables,
      settings: SETTINGS,
      clockOffset: createClockOffset() - Date.now() / 1000 + NOW + (options.later ?? 0),
      threads: 1,
      sweepSeconds: options.sweepSeconds,
    },
    folder,
    (_, error) => {
      throw error
    },
  )
  await threads.ready
  const links: Link[] = []
  return {
    async link(transport) {
      const link = transport === 'Unix socket' ? socketLink() : portLink()
      links.push(link)
      await link.whenUp()
      return link
    },
    async stop() {
      for (const link of links) link.close()
      await threads.stop()
      rmSync(folder, { recursive: true, force: true })
    },
  }

  function socketLink(): Link {
    return connectSocketLink(threads.socketPathFor(0))
  }

  function portLink(): Link {
    const { port1, port2 } = new MessageChannel()
    threads.link(port2)
    return connectPortLink(port1)
  }
}

/**
 * Fills tables with at least one peer per torrent. `ageOf` returns the age of a client in seconds.
 */
export function filledTables(
  torrents: number,
  peers: number,
  ageOf: (client: number) => number = () => 0,
  nowSeconds = NOW,
): EngineTables {
  const tables = createTables(memoryFor(peers))
  const engine = openEngine(tables, SETTINGS)
  const request = allocate(ANNOUNCE_BYTES)
  const reply = allocate(1024)
  for (let client = 0; client < peers; client++) {
    writeMember(request, client, torrents)
    request.view.setUint16(NUMWANT, 0, true)
    answer(engine, request, 0, reply, 0, nowSeconds - ageOf(client))
  }
  return tables
}
