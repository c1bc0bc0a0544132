import { once } from 'node:events'
import { connect } from 'node:net'
import type { ServerAddress } from '../config/database-path.ts'

/** SSLRequest of PostgreSQL: the length and the request code; the answer is one byte, S or N. */
const SSL_REQUEST = Uint8Array.of(0, 0, 0, 8, 4, 210, 22, 47)

/** CLIENT_SSL, in the low capability bytes of MySQL's greeting. */
const CLIENT_SSL = 0x800

/** Bytes between the server version and the capabilities: thread id, scramble, filler. */
const BEFORE_CAPABILITIES = 4 + 8 + 1

/**
 * Whether the server accepts TLS, for sslmode=prefer: the drivers either demand TLS or do not use
 * it. Also false if the server cannot be reached, so that the driver reports the reason.
 */
export async function acceptsTls(
  { host, port, socket, engine }: ServerAddress & { readonly engine: 'mysql' | 'pgsql' },
  timeoutMillis: number,
): Promise<boolean> {
  // A local socket does not need encryption.
  if (socket !== undefined) return false
  const connection = connect({ host, port })
  const signal = AbortSignal.timeout(timeoutMillis)
  try {
    if (engine === 'pgsql') connection.write(SSL_REQUEST)
    const [answer] = (await once(connection, 'data', { signal })) as [Buffer]
    return engine === 'pgsql' ? answer[0] === 'S'.charCodeAt(0) : greetingHasTls(answer)
  } catch {
    return false
  } finally {
    connection.on('error', () => undefined)
    connection.destroy()
  }
}

/**
 * Reads the initial handshake packet: 4 bytes of header, the protocol version, a text, then
 * numbers.
 */
function greetingHasTls(packet: Buffer): boolean {
  const versionEnd = packet.indexOf(0, 5)
  const at = versionEnd + 1 + BEFORE_CAPABILITIES
  return versionEnd > 0 && at + 2 <= packet.length && (packet.readUInt16LE(at) & CLIENT_SSL) !== 0
}
