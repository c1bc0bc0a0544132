import { type KeySchema, type SectionSchema, switchedOff } from './key-schema.ts'

function clientPrefixes(description: string): KeySchema {
  return {
    type: 'array',
    items: { type: 'string', format: 'peer-id-prefix' },
    default: [],
    allowed: 'a list of texts of 1 to 20 visible ASCII characters, as ["-XL", "-SD0"]',
    description,
  }
}

/** What strangers may do. */
export const LIMITS_SECTION: SectionSchema = {
  description:
    'What strangers may do, whatever protocol they speak. An announce that a limit meets gets a failure that says which, and metrics count it.',
  list: false,
  environment: 'LIMITS__',
  keys: {
    announces_per_address: {
      type: 'integer',
      default: 0,
      minimum: 0,
      maximum: 60_000,
      description:
        'Announces a minute of one IPv4 address or IPv6 /64, by whichever protocol. Many clients may share an address. 0 does not limit.',
    },
    announces_per_address_burst: {
      type: 'integer',
      default: 200,
      minimum: 1,
      maximum: 30_000,
      description:
        'Announces that one address may make at once, before announces_per_address counts: a client announces all its torrents when it starts.',
    },
    max_torrents: {
      type: 'integer',
      default: 0,
      minimum: 0,
      maximum: 1_000_000_000,
      description:
        'Torrents at which announces make no new ones; the API and snapshots still may. 0 does not limit.',
    },
    peers_per_address: {
      type: 'integer',
      default: 0,
      minimum: 0,
      maximum: 512,
      description:
        'Peers that one IPv4 address or IPv6 /64 may have in one torrent; where a torrent has more than 512 seeders or leechers, of the last 512 of them. 0 does not limit.',
    },
    connections_per_address: {
      type: 'integer',
      default: 0,
      minimum: 0,
      maximum: 1_000_000,
      description:
        'Connections of one IPv4 address or IPv6 /64 to all HTTP and API servers, in each worker process; the newest are closed within about a second (Linux). Those through trusted_proxies are not counted. 0 does not limit.',
    },
    refuse_private_addresses: switchedOff(
      'Refuse peers with an address that the internet cannot reach: private, loopback, link-local, multicast, reserved, documentation, 6to4, Teredo.',
    ),
    refuse_privileged_ports: switchedOff('Refuse peers with a port below 1024.'),
    client_blacklist: clientPrefixes('Refuse clients whose peer id begins with one of these.'),
    client_whitelist: clientPrefixes(
      'Refuse clients whose peer id begins with none of these. [] allows every client.',
    ),
  },
}
