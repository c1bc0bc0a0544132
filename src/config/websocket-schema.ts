import { type IntegerKey, type SectionSchema, seconds } from './key-schema.ts'

function bound(
  [value, minimum, maximum]: readonly [value: number, minimum: number, maximum: number],
  unit: string,
  description: string,
): IntegerKey {
  return { type: 'integer', default: value, minimum, maximum, unit, description }
}

/** The WebTorrent tracker, wherever http_server serves it. */
export const WEBSOCKET_SECTION = {
  description:
    'The WebTorrent tracker. Limits apply per worker process; an address is an IPv4 address or an IPv6 /64. The defaults allow many browsers behind one address.',
  list: false,
  environment: 'WEBSOCKET__',
  keys: {
    ping_interval: bound(
      [30, 5, 45],
      'seconds',
      'Seconds between pings of a WebSocket. They keep proxies from closing it: most do after 60 seconds without data.',
    ),
    drain_time: seconds(
      3600,
      0,
      'Seconds for which open WebSockets stay open after a reload or a new certificate; the old worker processes serve them meanwhile. Then they are closed, and clients reconnect.',
    ),
    sockets_per_address: bound(
      [512, 0, 1_000_000],
      'sockets',
      'Open WebSockets of one address in all workers. Further WebSockets are refused with status 429. An IPv6 /48 may have four times as many in one worker. 0 means no limit.',
    ),
    torrents_per_socket: bound(
      [10_000, 0, 1_000_000],
      'torrents',
      'Torrents that may be announced over one WebSocket. Announces of further torrents are answered with a failure. 0 means no limit.',
    ),
    torrents_per_address: bound(
      [50_000, 0, 10_000_000],
      'torrents',
      'Torrents that may be announced over all WebSockets of one address. 0 means no limit.',
    ),
    messages_per_second: bound(
      [100, 1, 100_000],
      'messages',
      'Messages per second that one WebSocket may send. Messages above this rate wait, up to 1 MiB of them; further ones are dropped.',
    ),
    messages_burst: bound(
      [2000, 1, 1_000_000],
      'messages',
      'Messages that one WebSocket may send at once before messages_per_second applies. A client announces all its torrents when it connects.',
    ),
    offers_per_second: bound(
      [100, 1, 100_000],
      'offers',
      'Offers per second that are relayed for one WebSocket. An offer counts once more for each 4 KiB of its size. Further ones are dropped.',
    ),
    offers_burst: bound(
      [5000, 1, 1_000_000],
      'offers',
      'Offers that are relayed at once for one WebSocket before offers_per_second applies.',
    ),
    address_offers_per_second: bound(
      [500, 1, 100_000],
      'offers',
      'Offers per second that are relayed for all WebSockets of one address.',
    ),
    address_offers_burst: bound(
      [20_000, 1, 1_000_000],
      'offers',
      'Offers that are relayed at once for all WebSockets of one address before address_offers_per_second applies.',
    ),
    peer_offers_per_second: bound(
      [1, 1, 100_000],
      'offers',
      'Offers per second from one WebSocket to another.',
    ),
    peer_offers_burst: bound(
      [16, 1, 100_000],
      'offers',
      'Offers from one WebSocket to another at once before peer_offers_per_second applies, for each torrent of the receiver (16 torrents at most).',
    ),
    peer_address_offers_per_second: bound(
      [10, 1, 100_000],
      'offers',
      'Offers per second from all WebSockets of one address to one WebSocket. A WebSocket that makes few offers can exceed this rate by a few.',
    ),
    peer_address_offers_burst: bound(
      [256, 1, 100_000],
      'offers',
      'Offers from one address to one WebSocket at once before peer_address_offers_per_second applies.',
    ),
    offers_awaited: bound(
      [1024, 16, 100_000],
      'offers',
      'Maximum offers to one WebSocket that wait for an answer. When it is reached, the oldest offer of the address with the most offers is dropped.',
    ),
    offer_time: bound(
      [60, 10, 600],
      'seconds',
      'Seconds for which the answer to an offer is awaited. Clients give up after 50 seconds.',
    ),
    description_size: bound(
      [16_384, 1024, 65_536],
      'bytes',
      'Maximum bytes of the session description in an offer or answer. Longer ones are answered with a failure. Browsers send up to 4 KiB.',
    ),
    offer_backlog: bound(
      [65_536, 1024, 16_777_216],
      'bytes',
      'Maximum unread bytes of a client; above that, no offers are relayed to it.',
    ),
    backlog: bound(
      [524_288, 65_536, 67_108_864],
      'bytes',
      'Maximum unread bytes of a client; above that, nothing is sent to it. Above half of that, the messages that it sends wait.',
    ),
  },
} as const satisfies SectionSchema
