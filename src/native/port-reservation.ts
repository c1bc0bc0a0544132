import { tryLibc } from './libc.ts'
import { SO_REUSEADDR, SO_REUSEPORT, SOL_SOCKET } from './linux.ts'
import { int, openBoundSocket } from './socket.ts'

/**
 * Reserves a TCP address until the returned function is called, with a socket that does not listen.
 * A program that wants the address for itself is refused, while processes of the same user can
 * share it (SO_REUSEPORT), as uWebSockets.js does. Throws an Error with `code` where another
 * program has the address. Does nothing where the C library cannot be called.
 */
export function holdPort(host: string, port: number, ipv6Only: boolean): () => void {
  const libc = tryLibc()
  if (!libc) return () => {}
  const { fd } = openBoundSocket(
    libc,
    'tcp',
    { host, port, ipv6Only },
    // Connections of an earlier run may linger in TIME_WAIT.
    set => set(SOL_SOCKET, SO_REUSEADDR, int(1)),
    // Only after the bind: SO_REUSEPORT before it would share the address with a program that is
    // about to listen, and two sockets with SO_REUSEADDR do not exclude each other.
    set => {
      set(SOL_SOCKET, SO_REUSEADDR, int(0))
      set(SOL_SOCKET, SO_REUSEPORT, int(1))
    },
  )
  return () => libc.close(fd)
}
