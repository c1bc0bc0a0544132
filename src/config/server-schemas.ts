import {
  type KeySchema,
  type ListKey,
  listOf,
  type SectionSchema,
  type StringKey,
  switchedOff,
  switchedOn,
} from './key-schema.ts'

function addressRanges(description: string): ListKey {
  return listOf('cidr', 'address ranges, such as ["10.0.0.0/8", "fd00::/8"]', description)
}

/** Keys of every listener. `more` follows "an IPv6 address in brackets". */
function listening(address: string, ipv6Address: string, more = '') {
  return {
    enabled: switchedOn('Listen on this address.'),
    bind_address: {
      type: 'string',
      format: 'bind-address',
      default: address,
      allowed: `an address and a port, such as "${address}" or "${ipv6Address}"`,
      description: `Address and port, with an IPv6 address in brackets${more}. Port 0 selects a free port.`,
    },
  } as const satisfies Readonly<Record<string, KeySchema>>
}

function pemFile(description: string): StringKey {
  return {
    type: 'string',
    // Must be a path, not the content of the file.
    pattern: '^[^\\n]*$',
    default: '',
    allowed: 'the path of a PEM file',
    description,
  }
}

/** Keys of a server that may speak HTTPS. */
const TLS = {
  ssl: switchedOff('Serve HTTPS (TLS 1.2 and 1.3) instead of HTTP on this address.'),
  ssl_key: pemFile('Private key in PEM, without a passphrase. Required with ssl.'),
  ssl_cert: pemFile(
    'Certificate chain in PEM: the server certificate first, then the intermediates. Required with ssl.',
  ),
} as const satisfies Readonly<Record<string, KeySchema>>

const CONNECTIONS = {
  max_connections: {
    type: 'integer',
    default: 0,
    minimum: 0,
    maximum: 1_000_000,
    unit: 'connections',
    description:
      'Connections to this address in each worker process. Further connections are closed at once. Needs frontend.http = "node". 0 means no limit.',
  },
} as const satisfies Readonly<Record<string, KeySchema>>

/** Keys of an HTTP server behind a proxy. */
const BEHIND_PROXIES = {
  real_ip: {
    type: 'string',
    format: 'header-name',
    default: 'X-Real-IP',
    allowed: 'the name of a request header',
    description: "Request header in which a trusted proxy passes the client's address.",
  },
  trusted_proxies: addressRanges(
    'Address ranges of the proxies whose real_ip header is accepted. Empty: no proxy is trusted.',
  ),
  proxy_protocol: switchedOff(
    "Accept the client's address from the PROXY protocol, version 1 or 2, when a trusted proxy sends it. real_ip is then read only if that address is a trusted proxy's too. Requires trusted_proxies, and cannot be combined with ssl.",
  ),
} as const satisfies Readonly<Record<string, KeySchema>>

/** Key of a tracker in the private network of some of its peers. */
const EXTERNAL_IP = {
  external_ip: {
    type: 'string',
    format: 'external-ip',
    default: '',
    allowed: 'an IPv4 address, an IPv6 address, both with a comma between, or ""',
    description:
      'Public addresses of the network that the tracker is in. Public clients get them instead of the private and loopback addresses of other peers, and the router has to forward the ports of these peers. Empty: public clients do not get such peers.',
  },
} as const satisfies Readonly<Record<string, KeySchema>>

/** The sections of all listeners. */
export const SERVER_SECTIONS = {
  http_server: {
    description: 'The HTTP tracker: /announce and /scrape. One table for each address.',
    list: true,
    environment: 'HTTP_',
    defaults: [{ bind_address: '0.0.0.0:6969' }, { bind_address: '[::]:6969' }],
    keys: {
      ...listening('0.0.0.0:6969', '[::]:6969'),
      ...TLS,
      ...BEHIND_PROXIES,
      ...CONNECTIONS,
      use_payload_ip: switchedOff(
        'Accept the address that a client states in its announce (ip, ipv4, ipv6). Any client can then announce any address.',
      ),
      ...EXTERNAL_IP,
      index: {
        type: 'string',
        default: '',
        allowed: 'a URL that begins with http:// or https://, the path of an HTML file, or ""',
        description:
          'Answer to GET /: a redirect to this URL, or this HTML file. Empty: "ok", like on /health.',
      },
      websocket: switchedOn(
        'Serve the WebTorrent tracker on the same address, as ws://, or as wss:// with ssl.',
      ),
      rtctorrent: switchedOff(
        'Serve RtcTorrent, the WebRTC signalling of Torrust-Actix by HTTP polling. The listener then uses node:http, because the requests are too large for uWebSockets.js.',
      ),
    },
  },
  api_server: {
    description: 'The admin API. One table for each address. api_server = [] turns it off.',
    list: true,
    environment: 'API_',
    defaults: [{ bind_address: '127.0.0.1:8080' }],
    keys: {
      ...listening('127.0.0.1:8080', '[::1]:8080'),
      ...TLS,
      ...BEHIND_PROXIES,
      ...CONNECTIONS,
      compatibility: {
        type: 'string',
        enum: ['document', 'torrust-actix'],
        default: 'document',
        description:
          'Answers of the API: document, as the OpenAPI document describes them; torrust-actix, as the program Torrust-Actix 4.2 sends them, for scripts that were written for it. See docs/migration-from-torrust-actix.md.',
      },
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
    description: 'The UDP tracker. One table for each address.',
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
      ...listening('0.0.0.0:6969', '[::]:6969', '. [::] does not accept IPv4'),
      udp_threads: {
        type: 'integer',
        default: 1,
        minimum: 1,
        maximum: 64,
        unit: 'threads',
        description: 'Threads that receive on this address. Each has its own socket.',
      },
      receive_buffer_size: {
        type: 'integer',
        default: 4_194_304,
        minimum: 0,
        maximum: 1_073_741_824,
        unit: 'bytes',
        description:
          "Size of a socket's receive buffer in bytes. The kernel grants at most net.core.rmem_max. 0 leaves the kernel's default.",
      },
      send_buffer_size: {
        type: 'integer',
        default: 4_194_304,
        minimum: 0,
        maximum: 1_073_741_824,
        unit: 'bytes',
        description:
          "Size of a socket's send buffer in bytes. The kernel grants at most net.core.wmem_max. 0 leaves the kernel's default.",
      },
      receive_method: {
        type: 'string',
        enum: ['auto', 'recvmmsg', 'recvmsg', 'dgram'],
        default: 'auto',
        description:
          'How datagrams are received. recvmmsg: many with one system call. recvmsg: one with each, for sandboxes that forbid recvmmsg. dgram: by Node itself, in one thread; on 0.0.0.0 and [::] it uses recvmsg where that can be called, because answers must leave from the address that the request was sent to. auto selects the first that works.',
      },
      simple_proxy_protocol: switchedOff(
        "Accept the client's address from the header of Cloudflare's Simple Proxy Protocol, when a trusted proxy sends it. Requires trusted_proxies.",
      ),
      trusted_proxies: addressRanges(
        'Address ranges of the proxies whose Simple Proxy Protocol header is accepted. Empty: no proxy is trusted.',
      ),
      use_payload_ip: switchedOff(
        'Accept the IPv4 address that a client states in its announce. Any client can then announce any address.',
      ),
      ...EXTERNAL_IP,
    },
  },
} as const satisfies Readonly<Record<string, SectionSchema>>
