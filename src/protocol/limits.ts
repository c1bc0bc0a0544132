/** Every bound that a stranger can push against, with its reason. */

/** Bytes of a query string. A scrape of 100 hashes, every byte percent-encoded, is 7,099. */
export const QUERY_BYTES_MAX = 8192

/**
 * Bytes of the text of `ip`, `ipv4` or `ipv6`: the longest IPv6 address, with an IPv4 tail, in
 * brackets, and a port.
 */
export const ADDRESS_TEXT_BYTES_MAX = 53

/** Hashes in one scrape over HTTP. */
export const SCRAPE_HASHES_MAX = 100

/**
 * Peers in one answer that any configuration may allow; keeps a reply below 16 KiB in the largest
 * form.
 */
export const NUMWANT_MAX = 400

/** uploaded, downloaded and left are kept in 48 bits: 256 TiB. Larger claims are kept as this. */
export const TRANSFER_BYTES_MAX = 2 ** 48 - 1

/**
 * Requests that one frontend keeps waiting for the engine; the next one is told that the tracker is
 * overloaded.
 */
export const REQUESTS_WAITING_MAX = 65_536

/** Bytes of one frame on the link. A peer process that announces a longer one is broken. */
export const FRAME_BYTES_MAX = 64 * 1024 * 1024

/**
 * Bytes of a request line with its headers: a query of QUERY_BYTES_MAX and what clients and proxies
 * send around it.
 */
export const HTTP_HEAD_BYTES_MAX = 16 * 1024

/**
 * Offers in one announce over WebSocket; more are passed over. Browsers make 5 or 10: each is a
 * connection half open, which costs its maker more than it does us.
 */
export const OFFERS_MAX = 20

/** Characters of an offer_id that are passed on. Clients make 20. */
export const OFFER_ID_CHARACTERS_MAX = 64

/**
 * Bytes of one message over WebSocket: OFFERS_MAX session descriptions, with many candidates some 4
 * KiB each, and what is around them.
 */
export const WEBSOCKET_MESSAGE_BYTES_MAX = 128 * 1024
