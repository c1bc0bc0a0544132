/** Every bound that an untrusted client can reach, with its reason. */

/** Bytes of a query string. A scrape of 100 hashes, every byte percent-encoded, is 7,099. */
export const QUERY_BYTES_MAX = 8192

/**
 * Bytes of the text of `ip`, `ipv4` or `ipv6`: the longest IPv6 address, with an IPv4 tail, in
 * brackets, and a port.
 */
export const ADDRESS_TEXT_BYTES_MAX = 53

/** Hashes in one scrape over HTTP or WebSocket. */
export const SCRAPE_HASHES_MAX = 100

/**
 * Maximum peers in one answer that a configuration may allow; keeps a reply below 16 KiB in the
 * largest form.
 */
export const NUMWANT_MAX = 400

/**
 * uploaded, downloaded and left are stored in 48 bits: 256 TiB. Larger claims are stored as this
 * value.
 */
export const TRANSFER_BYTES_MAX = 2 ** 48 - 1

/**
 * Maximum requests of one frontend that wait for the engine; the next one is answered that the
 * tracker is overloaded.
 */
export const REQUESTS_WAITING_MAX = 65_536

/** Maximum bytes of one frame on the link. A peer process that announces a longer one is broken. */
export const FRAME_BYTES_MAX = 64 * 1024 * 1024

/**
 * Maximum bytes of a request line with its headers: a query of QUERY_BYTES_MAX, and the headers of
 * clients and proxies.
 */
export const HTTP_HEAD_BYTES_MAX = 16 * 1024

/**
 * Maximum offers in one announce over WebSocket; further ones are ignored. Browsers make 5 or 10.
 * Each is a half-open connection, which costs its maker more than the tracker.
 */
export const OFFERS_MAX = 20

/** Maximum characters of a relayed offer_id. Clients use 20. */
export const OFFER_ID_CHARACTERS_MAX = 64

/**
 * Maximum bytes of one message over WebSocket: OFFERS_MAX session descriptions, about 4 KiB each
 * with many candidates, and their surroundings.
 */
export const WEBSOCKET_MESSAGE_BYTES_MAX = 128 * 1024
