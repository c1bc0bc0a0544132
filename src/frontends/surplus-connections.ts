import type { IpFamily } from '../protocol/records.ts'

/** The limits on connections, by their names in the configuration. */
export type ConnectionLimit = 'connections_per_address' | 'max_connections'

/** An open connection of a client. */
export type Connection = {
  readonly fd: number
  /** The other side's address and port, as the kernel has them. */
  readonly peer: string
  readonly family: IpFamily
  /** What is counted as one address; undefined where nobody's is: of a trusted proxy. */
  readonly source: string | undefined
  /** Index of the listener that accepted it. */
  readonly listener: number
  /** Number of the look that first met it. */
  readonly firstSeen: number
}

export type Surplus = { readonly connection: Connection; readonly limit: ConnectionLimit }

/**
 * What is over the limits, of all open connections of a process: the newest of each address and of each listener. 0 does not limit. One that
 * is over the limit of its address takes no other's place at the listener. Connections that were first met at the same look go by their
 * file descriptor, of which a new one gets the lowest that is free.
 */
export function surplusConnections(
  connections: readonly Connection[],
  perAddress: number,
  maxConnections: readonly number[],
): Surplus[] {
  const ofSource = new Map<string, number>()
  const ofListener = maxConnections.map(() => 0)
  const surplus: Surplus[] = []
  for (const connection of connections.toSorted(byAge)) {
    const { listener, source } = connection
    const sharing = source === undefined ? 0 : (ofSource.get(source) ?? 0)
    const accepted = ofListener[listener] ?? 0
    if (isOver(sharing, perAddress)) {
      surplus.push({ connection, limit: 'connections_per_address' })
    } else if (isOver(accepted, maxConnections[listener] ?? 0)) {
      surplus.push({ connection, limit: 'max_connections' })
    } else {
      ofListener[listener] = accepted + 1
      if (source !== undefined) ofSource.set(source, sharing + 1)
    }
  }
  return surplus
}

function byAge(a: Connection, b: Connection): number {
  return a.firstSeen - b.firstSeen || a.fd - b.fd
}

function isOver(count: number, limit: number): boolean {
  return limit > 0 && count >= limit
}
