import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { isIPv4 } from 'node:net'
import type { Config, UdpServerConfig } from '../config/config.ts'
import { failuresOf } from '../config/failure-answers.ts'
import { externalIpOf, parseBindAddress } from '../config/validate.ts'
import type { UdpRules } from '../frontends/udp/respond.ts'
import type { UdpSocketOptions } from '../frontends/udp/socket.ts'
import type { Logger } from '../log.ts'
import type { PathRules } from '../protocol/http/path.ts'
import { COMPACT_BYTES, Family } from '../protocol/records.ts'
import { ANNOUNCE_ANSWER_HEADER_BYTES, UNFRAGMENTED_BYTES_MAX } from '../protocol/udp/packet.ts'

/** A UDP server of the configuration. */
export type UdpListener = UdpSocketOptions & {
  readonly threads: number
  readonly method: UdpServerConfig['receive_method']
  readonly rules: UdpRules
}

/** Every enabled UDP server. */
export function udpListeners(config: Config, pathRules: PathRules): UdpListener[] {
  const { numwant_default, numwant_maximum } = config.tracker_config
  return config.udp_server
    .filter(server => server.enabled)
    .map(server => ({
      ...(parseBindAddress(server.bind_address) ?? { host: '', port: 0 }),
      receiveBufferBytes: server.receive_buffer_size,
      sendBufferBytes: server.send_buffer_size,
      dontFragment: longestIpv4Answer(numwant_maximum) <= UNFRAGMENTED_BYTES_MAX,
      threads: server.udp_threads,
      method: server.receive_method,
      rules: {
        announce: {
          numwantDefault: numwant_default,
          numwantMaximum: numwant_maximum,
          usePayloadIp: server.use_payload_ip,
          externalIp: externalIpOf(server.external_ip),
        },
        pathRules,
        failures: failuresOf(config),
        trustedProxies: server.simple_proxy_protocol ? server.trusted_proxies : [],
      },
    }))
}

function longestIpv4Answer(numwant: number): number {
  return ANNOUNCE_ANSWER_HEADER_BYTES + numwant * COMPACT_BYTES[Family.ipv4]
}

/**
 * Reserves a UDP address (serving/listeners.ts, `claimListeners`), where [::] is IPv6 only. The
 * reservation ends before another socket can be bound: datagrams sent in between are lost.
 */
export async function claimUdp({
  host,
  port,
}: {
  readonly host: string
  readonly port: number
}): Promise<{ readonly port: number; release(): void }> {
  const socket = createSocket(isIPv4(host) ? { type: 'udp4' } : { type: 'udp6', ipv6Only: true })
  socket.bind({ address: host, port, exclusive: true })
  await once(socket, 'listening').catch(error => {
    socket.close()
    throw error
  })
  // A start that is aborted does not release it.
  socket.unref()
  return { port: socket.address().port, release: () => socket.close() }
}

type Address = { readonly host: string }

/**
 * Logs a warning when HTTP serves both families and UDP only one. Lists of public trackers check
 * each address of a tracker's name over each protocol, and a UDP socket on [::] does not receive
 * IPv4, unlike an HTTP server there.
 */
export function warnOfMissingFamily(
  http: readonly Address[],
  udp: readonly Address[],
  log: Logger,
): void {
  if (udp.length === 0) return
  const hasIpv6 = http.some(({ host }) => !isIPv4(host))
  const hasIpv4 = http.some(({ host }) => isIPv4(host) || host === '::')
  if (!hasIpv4 || !hasIpv6) return
  if (!udp.some(({ host }) => isIPv4(host))) warn('IPv4', '0.0.0.0')
  if (udp.every(({ host }) => isIPv4(host))) warn('IPv6', '[::]')

  function warn(family: string, host: string): void {
    log.warn(
      { server: 'udp', family },
      `UDP does not serve ${family}, although HTTP does: add a [[udp_server]] with a bind_address such as "${host}:6969"`,
    )
  }
}
