import { countFrontend, FrontendCounter, familyOf, Protocol } from '../../counters/frontend.ts'
import { bytesOf } from '../../protocol/bytes.ts'
import { formatAddress } from '../../protocol/ip.ts'
import { Family, HASH_BYTES, type IpFamily } from '../../protocol/records.ts'
import type { HttpRequest, UpgradeContext, UpgradeResponse } from '../adapter.ts'
import { clientAddress } from '../client-address.ts'
import { countedAddress } from './client-addresses.ts'
import { RETRY_SECONDS } from './limits.ts'
import type { Handshake, WebsocketRoute } from './session.ts'
import type { Tracker } from './state.ts'

const KEYS_BYTES = 2 * HASH_BYTES

/** Upgrades the request to a WebSocket, or refuses it with 429 or 400 and a reason. */
export function upgrade(
  tracker: Tracker,
  route: WebsocketRoute,
  response: UpgradeResponse<Handshake>,
  request: HttpRequest,
  context: UpgradeContext,
): void {
  const address = clientAddress(response, request, route.proxies)
  if (!address || address.length === 0) {
    count(tracker, undefined)
    respond(response, '400 Bad Request', 'the proxy did not send your address')
    return
  }
  const handshake = readHandshake(address, request, route)
  const { socketsPerAddress } = tracker.limits
  if (tracker.addresses.isFull(handshake.counted, socketsPerAddress)) {
    const fields = {
      address: formatAddress(address, 0, address.length),
      sockets_per_address: socketsPerAddress,
    }
    tracker.refusals.report('WebSocket refused: too many from one address', fields)
    count(tracker, address)
    respond(
      response,
      '429 Too Many Requests',
      'too many WebSockets from your address',
      RETRY_SECONDS,
    )
    return
  }
  response.upgrade(
    handshake,
    request.getHeader('sec-websocket-key'),
    request.getHeader('sec-websocket-protocol'),
    request.getHeader('sec-websocket-extensions'),
    context,
  )
}

function count({ counters }: Tracker, address: Uint8Array | undefined): void {
  countFrontend(counters, Protocol.websocket, familyOf(address), FrontendCounter.refused)
}

function respond(
  response: UpgradeResponse<Handshake>,
  status: string,
  reason: string,
  retrySeconds?: number,
): void {
  response.cork(() => {
    response.writeStatus(status).writeHeader('content-type', 'text/plain')
    if (retrySeconds !== undefined) response.writeHeader('retry-after', String(retrySeconds))
    response.end(`${reason}\n`, true)
  })
}

function readHandshake(
  address: Uint8Array,
  request: HttpRequest,
  route: WebsocketRoute,
): Handshake {
  const family: IpFamily = address.length === 16 ? Family.ipv6 : Family.ipv4
  const client = new Uint8Array(16)
  client.set(address, 16 - address.length)
  if (family === Family.ipv4) client.fill(0xff, 10, 12)
  const keys = bytesOf(new Uint8Array(KEYS_BYTES))
  const { paths } = route
  const [path, query] = [request.getUrl(), request.getQuery()]
  const scrapeKeyFailure = paths.readScrapeKeys(path, query, keys, 0, HASH_BYTES)
  return {
    family,
    client,
    counted: countedAddress(address),
    route,
    keyFailure: paths.readAnnounceKeys(path, query, keys, 0, HASH_BYTES),
    scrapeKeyFailure,
    keys: keys.u8,
    session: undefined,
  }
}
