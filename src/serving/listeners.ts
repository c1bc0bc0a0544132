import type { Config } from '../config/config.ts'
import { failuresOf } from '../config/failure-answers.ts'
import { externalIpOf, parseBindAddress } from '../config/validate.ts'
import type { BackendName } from '../frontends/adapter.ts'
import type { ApiServerOptions } from '../frontends/api/server/server.ts'
import type { HttpServerOptions } from '../frontends/http/server.ts'
import type { PathRules } from '../protocol/http/path.ts'
import type { Certificates } from './certificates.ts'

type PairsOf = Pick<Certificates, 'pairOf'>

/** Limit of connections per process; 0 does not limit. */
type Bounded = { readonly maxConnections: number }

/** An HTTP server of the configuration. */
export type HttpListener = HttpServerOptions & Bounded

/** Returns every enabled HTTP server with the options of its frontend. */
export function httpListeners(
  config: Config,
  certificates: PairsOf,
  backend: BackendName,
): HttpListener[] {
  return config.http_server.flatMap((server, n) => {
    if (!server.enabled) return []
    return {
      ...listenerOptions(config, server, backend),
      index: server.index,
      tls: certificates.pairOf('http_server', n),
      pathRules: pathRules(config),
      usePayloadIp: server.use_payload_ip,
      externalIp: externalIpOf(server.external_ip),
      numwantDefault: config.tracker_config.numwant_default,
      numwantMaximum: config.tracker_config.numwant_maximum,
      minInterval: config.tracker_config.request_interval_minimum,
      failures: failuresOf(config),
      websocket: server.websocket,
      websocketInterval: config.tracker_config.websocket_interval,
      rtctorrent: server.rtctorrent,
      rtcInterval: config.tracker_config.rtc_interval,
    }
  })
}

/** The options that both kinds of servers have. */
function listenerOptions(
  { frontend }: Config,
  server: Config['http_server'][number] | Config['api_server'][number],
  backend: BackendName,
) {
  return {
    ...(parseBindAddress(server.bind_address) ?? { host: '', port: 0 }),
    backend: backendOf(server, backend),
    idleTimeout: frontend.idle_timeout,
    realIpHeader: server.real_ip,
    trustedProxies: server.trusted_proxies,
    proxyProtocol: server.proxy_protocol,
    maxConnections: server.max_connections,
  }
}

/**
 * The native builds accept a second PROXY header, from the client itself, and read unwritten memory
 * as the address of a short one (uWebSockets issue 1927). Their version does not reveal whether
 * that is fixed, so these listeners use node:http.
 *
 * A request of RtcTorrent exceeds the 4 KiB that uWebSockets.js accepts in several TCP segments, so
 * its listeners are on node:http too.
 */
function backendOf(
  server: { readonly proxy_protocol: boolean; readonly rtctorrent?: boolean },
  backend: BackendName,
): BackendName {
  return server.proxy_protocol || server.rtctorrent === true ? 'node' : backend
}

/** The positions of the keys in a request, and the keys that it must have. */
export function pathRules({ tracker_config: tracker }: Config): PathRules {
  return {
    keys: tracker.keys_enabled,
    users: tracker.users_enabled,
    anonymousScrape: tracker.allow_anonymous_scrape,
    usersRequired: tracker.users_required,
    scrapeNeedsKey: tracker.scrape_needs_key,
    announcePaths: tracker.announce_paths,
    scrapePaths: tracker.scrape_paths,
    keyParameter: tracker.key_parameter,
    userKeyParameter: tracker.user_key_parameter,
    keyFormat: tracker.key_format,
  }
}

/**
 * An API server of the configuration, with the options of its frontend; the frontend adds those
 * that cannot cross to another process.
 */
export type ApiListener = Omit<ApiServerOptions, 'onError' | 'pages'> & Bounded

/** Every enabled API server. */
export function apiListeners(
  config: Config,
  token: string,
  certificates: PairsOf,
  backend: BackendName,
): ApiListener[] {
  return config.api_server.flatMap((server, n) => {
    if (!server.enabled) return []
    return {
      ...listenerOptions(config, server, backend),
      tls: certificates.pairOf('api_server', n),
      token,
      swagger: config.tracker_config.swagger,
      keyFormat: config.tracker_config.key_format,
      userIdUuid: config.database_structure.users.id_uuid,
      repeatStatus: server.repeat_status,
      compatibility: server.compatibility,
      allowedHosts: server.allowed_hosts,
    }
  })
}
