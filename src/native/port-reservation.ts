import { openLibc } from './libc.ts'
import { int, openBoundSocket, SO_REUSEPORT, SOL_SOCKET } from './socket.ts'

/** Linux's number, the same on x86-64 and arm64. */
const SO_REUSEADDR = 2

/**
 * Keeps a TCP address until it is let go of, with a socket that does not listen: who wants it alone is refused, while uWebSockets.js in processes of the
 * same user shares it (SO_REUSEPORT). Throws an Error with `code` where another has it. Does nothing where the C library cannot be called.
 */
export function holdPort(host: string, port: number, ipv6Only: boolean): () => void {
  let libc: ReturnType<typeof openLibc>
  try {
    libc = openLibc()
  } catch {
    return () => {}
  }
  const { fd } = openBoundSocket(
    libc,
    'tcp',
    { host, port, ipv6Only },
    // Connections of an earlier run may linger in TIME_WAIT.
    set => set(SOL_SOCKET, SO_REUSEADDR, int(1)),
    // Not before the bind: that would share the address with who is about to listen. And two that may reuse it do not exclude each other.
    set => {
      set(SOL_SOCKET, SO_REUSEADDR, int(0))
      set(SOL_SOCKET, SO_REUSEPORT, int(1))
    },
  )
  return () => libc.close(fd)
}
