import type { Socket } from 'node:net'
import { parseProxyHeader } from './proxy-header.ts'

/**
 * Removes the PROXY header from the start of a connection, exactly once, and calls `done` with the
 * address in it, 4 or 16 bytes, if it has one. The socket is then paused, with all later bytes put
 * back for HTTP, which refuses a second header, or for TLS. A malformed header, and one that is not
 * complete within `millis`, closes the connection.
 */
export function readProxyHeader(
  socket: Socket,
  millis: number,
  done: (address: ArrayBuffer | undefined) => void,
): void {
  let received: Buffer = Buffer.alloc(0)
  const timer = setTimeout(() => socket.destroy(), millis)
  const onError = () => {}
  const onClose = () => clearTimeout(timer)
  const onData = (chunk: Buffer) => {
    received = received.length === 0 ? chunk : Buffer.concat([received, chunk])
    const header = parseProxyHeader(received)
    if (header.kind === 'incomplete') return
    if (header.kind === 'invalid') return void socket.destroy()
    clearTimeout(timer)
    socket.pause()
    socket.off('data', onData).off('error', onError).off('close', onClose)
    const rest = header.kind === 'header' ? received.subarray(header.bytes) : received
    if (rest.length > 0) socket.unshift(rest)
    const address = header.kind === 'header' ? header.address : undefined
    done(address?.buffer as ArrayBuffer | undefined)
  }
  socket.on('data', onData).on('error', onError).on('close', onClose)
}
