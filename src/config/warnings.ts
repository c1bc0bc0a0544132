import type { Config } from './config.ts'

/** Shorter tokens are accepted, because Torrust-Actix accepts them. */
const API_KEY_CHARACTERS = 32

/** Announce intervals that lists of public trackers accept, in seconds. */
const PUBLIC_INTERVAL_MIN = 5 * 60
const PUBLIC_INTERVAL_MAX = 3 * 60 * 60

/** Problems of a valid configuration that the operator should know about. */
export function configWarnings(config: Config): string[] {
  const warnings: string[] = []
  const { length } = config.tracker_config.api_key
  if (length > 0 && length < API_KEY_CHARACTERS) {
    warnings.push(
      `tracker_config.api_key: the token has only ${length} characters and can be guessed; use at least ${API_KEY_CHARACTERS} random characters`,
    )
  }
  return [
    ...warnings,
    ...publicWarnings(config),
    ...limitWarnings(config),
    ...webhookWarnings(config),
  ]
}

/** Intervals for which lists of public trackers reject a tracker. */
function publicWarnings({ tracker_config: tracker }: Config): string[] {
  const isPrivate = tracker.whitelist_enabled || tracker.keys_enabled || tracker.users_enabled
  const interval = tracker.request_interval
  if (isPrivate || (interval >= PUBLIC_INTERVAL_MIN && interval <= PUBLIC_INTERVAL_MAX)) return []
  return [
    `tracker_config.request_interval: lists of public trackers reject intervals under ${PUBLIC_INTERVAL_MIN} or over ${PUBLIC_INTERVAL_MAX} seconds (found ${interval})`,
  ]
}

/** Loopback, private (RFC 1918), unique local and link-local addresses. */
const LOCAL_BIND_ADDRESS =
  /^(127\.|10\.|192\.168\.|172\.(1[6-9]|2\d|3[01])\.|169\.254\.|\[::1\]|\[f[cd]|\[fe[89ab])/i

/** Servers that the internet can reach, without limits on what one address can do. */
function limitWarnings({ limits, http_server, udp_server }: Config): string[] {
  if (
    limits.announces_per_address > 0 &&
    (limits.peers_per_address > 0 || limits.profile === 'private')
  )
    return []
  const isPublic = [...http_server, ...udp_server].some(
    ({ enabled, bind_address }) => enabled && !LOCAL_BIND_ADDRESS.test(bind_address),
  )
  if (!isPublic) return []
  return [
    'limits.profile: a public server runs without limits on what one address can do; use the profile "public"',
  ]
}

/** Receivers of events that others can read, or forge events for. */
function webhookWarnings({ events }: Config): string[] {
  const { webhook_url: url, webhook_secret: secret } = events
  if (url === '') return []
  const isLocal = /^http:\/\/(localhost|127\.[0-9.]+|\[::1\])([:/]|$)/.test(url)
  return [
    ...(url.startsWith('https:') || isLocal
      ? []
      : ['events.webhook_url: events are sent unencrypted; use https://']),
    ...(secret === ''
      ? ['events.webhook_secret: events are not signed, so the receiver cannot verify the sender']
      : []),
  ]
}
