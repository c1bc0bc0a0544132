/** What one client, or a stranger who opens many sockets, can take of a worker, with the reasons. */

/**
 * Torrents of one socket, over which a browser announces all that it has; libraries that seed thousands have several trackers or processes.
 * An entry takes some 100 bytes.
 */
export const TORRENTS_PER_SOCKET_MAX = 1000

/** Sockets of one address in a worker: a building behind one address has some hundreds of people in it. */
export const SOCKETS_PER_ADDRESS_MAX = 512

/** Offers that were passed to a socket and wait for its answer; the oldest give way. A browser is passed some 10 a minute for each torrent. */
export const OFFERS_AWAITED_MAX = 128

/** Seconds after which nobody waits for an answer any more. Clients give up after 50. */
export const OFFER_SECONDS_MAX = 60

/**
 * Messages that a socket may send at once, and how many a second it earns back. Who reconnects announces all its torrents together, and then
 * answers what it is passed.
 */
export const MESSAGES_AT_ONCE_MAX = 2 * TORRENTS_PER_SOCKET_MAX
export const MESSAGES_PER_SECOND = 50
/** A message that cannot be read counts for as many, so that who sends nothing else is soon gone. */
export const BAD_MESSAGE_COST = 100

/** Bytes that wait for a slow reader; past that it is closed. An offer or answer is some KiB. */
export const SOCKET_QUEUE_BYTES_MAX = 512 * 1024

/** Seconds without a sign of life after which a socket is closed; it is pinged before. */
export const IDLE_SECONDS_MAX = 120

/** Bytes that wait for another worker; past that messages to it are dropped: their clients make new offers. */
export const RELAY_QUEUE_BYTES_MAX = 8 * 1024 * 1024

/** Bytes of one frame between workers: a description, and what is around it. */
export const RELAY_FRAME_BYTES_MAX = 512 * 1024

/** Leave records that wait for the engine are tried again after so long. */
export const LEAVE_RETRY_MILLIS = 100
