import { type Server, Socket } from 'node:net'
import { tryLibc } from '../../native/libc.ts'
import { SO_REUSEADDR, SO_REUSEPORT, SOL_SOCKET } from '../../native/linux.ts'
import { int, openBoundSocket } from '../../native/socket.ts'

const BACKLOG = 511

/** Whether `server.listen` has the option `reusePort`: from Node 22.12 and 23.1 on. */
const HAS_REUSE_PORT =
  atLeast(process.versions.node, 22, 12) && !/^23\.0\./.test(process.versions.node)

function atLeast(version: string, major: number, minor: number): boolean {
  const [a = 0, b = 0] = version.split('.').map(Number)
  return a > major || (a === major && b >= minor)
}

/**
 * Makes `server` listen beside other sockets on the same address: those of other worker processes,
 * and during a reload the earlier ones. Where neither Node nor the C library can share an address,
 * workers share one socket through the cluster.
 */
export function openListener(
  server: Server,
  host: string,
  port: number,
  listening: () => void,
): void {
  if (HAS_REUSE_PORT) {
    const options = { host, port, exclusive: true, reusePort: true, backlog: BACKLOG }
    server.listen(options, listening)
    return
  }
  const socket = openSharedSocket(host, port)
  if (socket) server.listen(socket, BACKLOG, listening)
  else server.listen({ host, port, backlog: BACKLOG }, listening)
}

/**
 * A bound socket with SO_REUSEPORT; undefined where the C library cannot be called. Throws where
 * the address is taken.
 */
function openSharedSocket(host: string, port: number): Socket | undefined {
  const libc = tryLibc()
  if (!libc) return undefined
  const { fd } = openBoundSocket(libc, 'tcp', { host, port, ipv6Only: false }, set => {
    set(SOL_SOCKET, SO_REUSEADDR, int(1))
    set(SOL_SOCKET, SO_REUSEPORT, int(1))
  })
  return new Socket({ fd, readable: false, writable: false })
}
