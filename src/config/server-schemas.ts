import { type KeySchema, type SectionSchema, switchedOff } from './key-schema.ts'

function addressRanges(description: string): KeySchema {
  return {
    type: 'array',
    items: { type: 'string', format: 'cidr' },
    default: [],
    allowed: 'a list of address ranges, as ["10.0.0.0/8", "fd00::/8"]',
    description,
  }
}

function listening(
  address: string,
  ipv6Address: string,
  more = '',
): Readonly<Record<'enabled' | 'bind_address', KeySchema>> {
  return {
    enabled: { type: 'boolean', default: true, description: 'Whether to listen on this address.' },
    bind_address: {
      type: 'string',
      format: 'bind-address',
      default: address,
      allowed: `an address and a port, as ${address} or ${ipv6Address}`,
      description: `Address and port, an IPv6 address in brackets${more}. Port 0 takes a free one.`,
    },
  }
}

function pemFile(description: string): KeySchema {
  return { type: 'string', default: '', allowed: 'the path of a PEM file', description }
}

/** Keys of a server that may speak HTTPS. */
const TLS: Readonly<Record<string, KeySchema>> = {
  ssl: switchedOff('Speak HTTPS (TLS 1.2 and 1.3) on this address, and no HTTP.'),
  ssl_key: pemFile('The private key, without a passphrase. Needed with ssl.'),
  ssl_cert: pemFile(
    'The certificate for it, followed by those that vouch for it. Needed with ssl.',
  ),
}

const CONNECTIONS: Readonly<Record<string, KeySchema>> = {
  max_connections: {
    type: 'integer',
    default: 0,
    minimum: 0,
    maximum: 1_000_000,
    description:
      'Connections to this address in each worker process; the newest are closed within about a second (Linux). 0 does not limit.',
  },
}

/** Keys of a server that speaks HTTP. */
const BEHIND_PROXIES: Readonly<Record<string, KeySchema>> = {
  real_ip: {
    type: 'string',
    format: 'header-name',
    default: 'X-Real-IP',
    allowed: 'the name of a request header',
    description: 'Request header in which a trusted proxy tells the address of the client.',
  },
  trusted_proxies: addressRanges(
    'Address ranges of proxies whose real_ip header is believed. Empty: nobody is.',
  ),
  proxy_protocol: {
    type: 'boolean',
    default: false,
    description:
      'Take the address of the client from the PROXY protocol, version 2, where a trusted proxy speaks it. Needs trusted_proxies, and no ssl.',
  },
}

/** The sections of what listens. */
export const SERVER_SECTIONS: Readonly<
  Record<'http_server' | 'api_server' | 'udp_server', SectionSchema>
> = {
  http_server: {
    description:
      'The HTTP tracker: /announce and /scrape. One table for each address to listen on.',
    list: true,
    environment: 'HTTP_',
    defaults: [{ bind_address: '0.0.0.0:6969' }, { bind_address: '[::]:6969' }],
    keys: {
      ...listening('0.0.0.0:6969', '[::]:6969'),
      ...TLS,
      ...BEHIND_PROXIES,
      ...CONNECTIONS,
      use_payload_ip: {
        type: 'boolean',
        default: false,
        description:
          'Believe the address that a client states in its announce (ip, ipv4, ipv6). Lets anyone enter any address.',
      },
      websocket: {
        type: 'boolean',
        default: true,
        description:
          'Serve the WebTorrent tracker too, ws:// on the same address, or wss:// where TLS is on.',
      },
    },
  },
  api_server: {
    description:
      'The admin API. One table for each address to listen on; api_server = [] serves none.',
    list: true,
    environment: 'API_',
    defaults: [{ bind_address: '127.0.0.1:8080' }],
    keys: {
      ...listening('127.0.0.1:8080', '[::1]:8080'),
      ...TLS,
      ...BEHIND_PROXIES,
      ...CONNECTIONS,
      repeat_status: {
        type: 'string',
        enum: ['document', 'ok'],
        default: 'document',
        description:
          'Status of a change that is already in effect, such as adding a hash to the whitelist again or removing an unknown key: document, the 304 or 404 of the OpenAPI document; ok, 200 with the same text.',
      },
      allowed_hosts: {
        type: 'array',
        items: { type: 'string' },
        default: [],
        allowed: 'a list of host names, such as ["tracker.example.org"]',
        description:
          'Host names that requests may use besides IP addresses, localhost and names without a dot. Empty: any name, but a server on a loopback address without trusted_proxies accepts no further names.',
      },
    },
  },
  udp_server: {
    description: 'The UDP tracker. One table for each address to listen on.',
    list: true,
    environment: 'UDP_',
    restart: [
      'enabled',
      'bind_address',
      'udp_threads',
      'receive_buffer_size',
      'send_buffer_size',
      'receive_method',
    ],
    defaults: [{ bind_address: '0.0.0.0:6969' }, { bind_address: '[::]:6969' }],
    keys: {
      ...listening('0.0.0.0:6969', '[::]:6969', '; [::] takes no IPv4'),
      udp_threads: {
        type: 'integer',
        default: 1,
        minimum: 1,
        maximum: 64,
        description: 'Threads that receive on this address, each with a socket of its own.',
      },
      receive_buffer_size: {
        type: 'integer',
        default: 4_194_304,
        minimum: 0,
        maximum: 1_073_741_824,
        description:
          'Bytes of a socket for what waits to be received; the kernel grants up to net.core.rmem_max. 0 keeps its default.',
      },
      send_buffer_size: {
        type: 'integer',
        default: 4_194_304,
        minimum: 0,
        maximum: 1_073_741_824,
        description:
          'Bytes of a socket for what waits to be sent; the kernel grants up to net.core.wmem_max. 0 keeps its default.',
      },
      receive_method: {
        type: 'string',
        enum: ['auto', 'recvmmsg', 'dgram'],
        default: 'auto',
        description:
          'How datagrams are received: recvmmsg, many at a time; dgram, one at a time, wherever Node runs, with one thread. auto takes the first that works.',
      },
      simple_proxy_protocol: {
        type: 'boolean',
        default: false,
        description:
          "Take the address of the client from the header of Cloudflare's Simple Proxy Protocol, where a trusted proxy sends one. Needs trusted_proxies.",
      },
      trusted_proxies: addressRanges(
        'Address ranges of proxies whose Simple Proxy Protocol is believed. Empty: nobody is.',
      ),
      use_payload_ip: {
        type: 'boolean',
        default: false,
        description:
          'Believe the IPv4 address that a client states in its announce. Lets anyone enter any address.',
      },
    },
  },
}
