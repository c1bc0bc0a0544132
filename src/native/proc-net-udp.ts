import { readFileSync } from 'node:fs'

/** Counts of the kernel for the UDP sockets of some ports, by family. */
export type UdpSocketCounts = {
  /** Datagrams dropped because a receive buffer was full. */
  readonly dropped: readonly [ipv4: number, ipv6: number]
  readonly queuedBytes: readonly [ipv4: number, ipv6: number]
}

/** Reads the counts of the sockets on `ports` from /proc/net; undefined without procfs. */
export function readUdpSockets(ports: ReadonlySet<number>): UdpSocketCounts | undefined {
  try {
    const [ipv4, ipv6] = ['udp', 'udp6'].map(name =>
      countUdpSockets(readFileSync(`/proc/net/${name}`, 'latin1'), ports),
    )
    if (!ipv4 || !ipv6) return undefined
    return {
      dropped: [ipv4.dropped, ipv6.dropped],
      queuedBytes: [ipv4.queuedBytes, ipv6.queuedBytes],
    }
  } catch {
    return undefined
  }
}

/** Sums the sockets on `ports` in a table in the format of /proc/net/udp. */
export function countUdpSockets(table: string, ports: ReadonlySet<number>) {
  let dropped = 0
  let queuedBytes = 0
  for (const line of table.split('\n').slice(1)) {
    // sl, local address:port, remote, state, tx_queue:rx_queue, …, drops; queues and ports in hex.
    const fields = line.trim().split(/\s+/)
    const port = Number.parseInt(fields[1]?.split(':')[1] ?? '', 16)
    if (!ports.has(port)) continue
    queuedBytes += Number.parseInt(fields[4]?.split(':')[1] ?? '0', 16)
    dropped += Number(fields.at(-1))
  }
  return { dropped, queuedBytes }
}
