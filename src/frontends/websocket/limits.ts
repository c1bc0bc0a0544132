/** How fast a token bucket refills, and how many tokens it holds when full. */
export type Rate = { readonly burst: number; readonly perSecond: number }

/**
 * Bounds that the section [websocket] of the configuration sets, per process. An address is an IPv4
 * address or an IPv6 /64; 0 sockets or torrents do not limit. Sizes in bytes, times in seconds.
 */
export type WebsocketLimits = {
  readonly pingInterval: number
  /** Time for which sockets stay open after another listener or process has taken over. */
  readonly drainTime: number
  readonly socketsPerAddress: number
  readonly torrentsPerSocket: number
  readonly torrentsPerAddress: number
  /** Messages of one socket. */
  readonly messages: Rate
  /** Offers that are relayed for one socket, and for all sockets of one address. */
  readonly offers: Rate
  readonly offersPerAddress: Rate
  /** Offers from one socket to another, for each torrent of the other, and from one address. */
  readonly offersToPeer: Rate
  readonly offersToPeerPerAddress: Rate
  /** Offers to one socket whose answers are awaited, and for how long. */
  readonly offersAwaited: number
  readonly offerTime: number
  /** Bytes of one session description. */
  readonly descriptionBytes: number
  /** Bytes unread by a socket above which it receives no new offers, or nothing at all. */
  readonly offerBacklog: number
  readonly backlog: number
}

/** Torrents of one socket up to which offersToPeer is multiplied. */
export const OFFER_TORRENTS_MAX = 16

/**
 * An offer costs one token, and one more for each 4 KiB: the maker pays for the bytes that the
 * reader receives.
 */
export const OFFER_TOKEN_BYTES = 4096

/**
 * Offers that a socket may send to another although its address has used up offersToPeerPerAddress,
 * so that many sockets of one address do not silence one that makes few offers.
 */
export const OFFERS_RESERVED: Rate = { burst: 4, perSecond: 0.1 }

/** Makers and addresses of makers that a socket remembers; the least recent are forgotten. */
export const MAKERS_MAX = 1024

/** Peer ids that one socket may announce in one torrent. A page with several clients has some. */
export const PEER_IDS_PER_TORRENT_MAX = 8

/** Messages of one socket that cannot be parsed; a socket that exceeds this rate is closed. */
export const FAULTS: Rate = { burst: 20, perSecond: 0.5 }

/**
 * Bytes of messages that wait because their socket exceeded its rate: of one socket, of one address
 * and of all. Beyond that, messages are dropped.
 */
export const WAITING_BYTES_PER_SOCKET_MAX = 1024 * 1024
export const WAITING_BYTES_PER_ADDRESS_MAX = 8 * 1024 * 1024
export const WAITING_BYTES_MAX = 64 * 1024 * 1024

/** Interval at which waiting messages are tried again. */
export const WAITING_MILLIS = 100

/** Sockets of one IPv6 /48 are limited to this many times those of a /64. */
export const NETWORK_FACTOR = 4

/** Sockets of an address from which on a worker reports their count to the other workers. */
export const SHARED_SOCKETS_MIN = 16

/** Addresses in one report. */
export const REPORTED_ADDRESSES_MAX = 10_000

/**
 * Seconds without a message or pong after which a socket is closed: several pings are unanswered.
 */
export const IDLE_SECONDS_MAX = 120

/** Seconds after which a client that is refused because of its address may retry. */
export const RETRY_SECONDS = 60

/** Bytes queued for another worker beyond which messages to it are dropped. */
export const RELAY_QUEUE_BYTES_MAX = 8 * 1024 * 1024

/** Bytes of one frame between workers: a description in JSON and its surroundings. */
export const RELAY_FRAME_BYTES_MAX = 512 * 1024

/** Milliseconds until leave records that the engine has not confirmed are sent again. */
export const LEAVE_RETRY_MILLIS = 100
