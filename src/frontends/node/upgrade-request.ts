import type { IncomingMessage } from 'node:http'

/** Headers of an offer to change the protocol (RFC 9110 §7.8, RFC 7540 §3.2.1). */
const UPGRADE_HEADERS = new Set(['upgrade', 'http2-settings'])

/** Whether a request with an Upgrade header is for a WebSocket (RFC 6455 §4.2.1). */
export function isWebSocketRequest({ headers, method }: IncomingMessage): boolean {
  return method === 'GET' && headers.upgrade?.toLowerCase() === 'websocket'
}

/**
 * The bytes of a request without its offer to change the protocol, which a server may ignore, such
 * as `Upgrade: h2c` of `curl --http2`. `head` are the bytes behind the request's headers.
 */
export function withoutUpgrade(request: IncomingMessage, head: Buffer): Buffer {
  const lines = [`${request.method} ${request.url} HTTP/${request.httpVersion}`]
  for (let n = 0; n + 1 < request.rawHeaders.length; n += 2) {
    const name = request.rawHeaders[n] as string
    const value = withoutUpgradeOptions(name, request.rawHeaders[n + 1] as string)
    if (value !== undefined) lines.push(`${name}: ${value}`)
  }
  return Buffer.concat([Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1'), head])
}

function withoutUpgradeOptions(name: string, value: string): string | undefined {
  const key = name.toLowerCase()
  if (UPGRADE_HEADERS.has(key)) return undefined
  if (key !== 'connection') return value
  const options = value.split(',').map(option => option.trim())
  const others = options.filter(option => !UPGRADE_HEADERS.has(option.toLowerCase()))
  return others.length > 0 ? others.join(', ') : undefined
}
