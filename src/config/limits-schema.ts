import { type ListKey, listOf, type SectionSchema, switchedOff, switchedOn } from './key-schema.ts'

function clientPrefixes(description: string): ListKey {
  const allowed = 'strings of 1 to 20 visible ASCII characters, such as ["-XL", "-SD0"]'
  return listOf('peer-id-prefix', allowed, description)
}

/**
 * Defaults of limits by profile. `public` stops single addresses from filling the tables, and lets
 * a carrier's NAT and a large seedbox through; `private` expects many users behind one address.
 */
const PROFILES = {
  open: {
    announces_per_address: 0,
    announces_per_address_burst: 200,
    peers_per_address: 0,
    memory_per_address: 0,
    completed_once_per_day: false,
  },
  public: {
    announces_per_address: 3000,
    announces_per_address_burst: 6000,
    peers_per_address: 64,
    memory_per_address: 5,
    completed_once_per_day: true,
  },
  private: {
    announces_per_address: 12_000,
    announces_per_address_burst: 24_000,
    peers_per_address: 0,
    memory_per_address: 20,
    completed_once_per_day: true,
  },
} as const

/**
 * Adds the limits of the profile that the file does not set. A file that sets `peers_per_address`
 * wants it enforced on leechers, too, unless it sets `serve_excess_leechers`.
 */
export function applyProfile(raw: Record<string, unknown>): void {
  const { limits } = raw
  if (typeof limits !== 'object' || limits === null) return
  const { profile } = limits as { profile?: unknown }
  const isKnown = typeof profile === 'string' && Object.hasOwn(PROFILES, profile)
  raw['limits'] = {
    ...(isKnown ? PROFILES[profile as keyof typeof PROFILES] : {}),
    ...(Object.hasOwn(limits, 'peers_per_address') ? { serve_excess_leechers: false } : {}),
    ...limits,
  }
}

/** Limits on clients. */
export const LIMITS_SECTION = {
  description:
    'Limits that apply to clients of every protocol. An announce that exceeds a limit is answered with a failure that names the limit, and is counted in the metrics.',
  list: false,
  environment: 'LIMITS__',
  keys: {
    profile: {
      type: 'string',
      enum: ['open', 'public', 'private'],
      default: 'public',
      description:
        'Defaults of announces_per_address, its burst, peers_per_address and memory_per_address. "public" bounds what one address can do and does not affect ordinary clients; "private" allows for many users behind one address; "open" has no limits. A key that is set overrides the profile.',
    },
    announces_per_address: {
      type: 'integer',
      default: PROFILES.public.announces_per_address,
      minimum: 0,
      maximum: 60_000,
      unit: 'announces',
      description:
        'Announces per minute from one IPv4 address or IPv6 /64, over all protocols together. Many clients may share one address. 0 means no limit.',
    },
    announces_per_address_burst: {
      type: 'integer',
      default: PROFILES.public.announces_per_address_burst,
      minimum: 1,
      maximum: 30_000,
      unit: 'announces',
      description:
        'Announces that one address may send at once before announces_per_address applies. A client announces all its torrents when it starts.',
    },
    max_torrents: {
      type: 'integer',
      default: 0,
      minimum: 0,
      maximum: 1_000_000_000,
      unit: 'torrents',
      description:
        'Number of torrents above which announces no longer add new ones. The API and snapshots still can. 0 means no limit.',
    },
    peers_per_address: {
      type: 'integer',
      default: PROFILES.public.peers_per_address,
      minimum: 0,
      maximum: 512,
      unit: 'peers',
      description:
        'Peers that one IPv4 address or IPv6 /64 may have in one torrent. Further seeders are refused; for leechers see serve_excess_leechers. In a torrent with more than 512 seeders or leechers, only the newest 512 of them are checked. 0 means no limit.',
    },
    memory_per_address: {
      type: 'integer',
      default: PROFILES.public.memory_per_address,
      minimum: 0,
      maximum: 100,
      unit: 'percent',
      description:
        'Percent of engine.memory that peers of one IPv4 address or IPv6 /64 may fill, at 160 bytes per peer. An IPv6 /48 may fill four times as much. Further peers are refused; for leechers in torrents that others announced, see serve_excess_leechers. 0 means no limit.',
    },
    serve_excess_leechers: switchedOn(
      'Give peers to leechers above peers_per_address or memory_per_address without adding them to the torrent, because many households may share one address. If false, they are refused. Default: true, or false if peers_per_address is set and this key is not.',
    ),
    completed_once_per_day: switchedOn(
      'Count a download once per torrent, peer id and address within a day.',
    ),
    connections_per_address: {
      type: 'integer',
      default: 0,
      minimum: 0,
      maximum: 1_000_000,
      unit: 'connections',
      description:
        'Connections from one IPv4 address or IPv6 /64 to all HTTP and API servers, in each worker process. Further connections are closed at once. Connections from trusted_proxies are not counted. Needs frontend.http = "node". 0 means no limit.',
    },
    refuse_private_addresses: switchedOff(
      'Reject peers whose address is not reachable from the internet: private, loopback, link-local, multicast, reserved, documentation, 6to4 and Teredo addresses.',
    ),
    refuse_privileged_ports: switchedOff('Reject peers with a port below 1024.'),
    refuse_port_zero: switchedOff(
      'Refuse peers with port 0. Otherwise they are served and counted, but never included in responses.',
    ),
    client_blacklist: clientPrefixes('Reject clients whose peer id starts with one of these.'),
    client_whitelist: clientPrefixes(
      'Reject clients whose peer id starts with none of these. [] allows every client.',
    ),
  },
} as const satisfies SectionSchema
