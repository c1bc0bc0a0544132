/** Limits of the API that a client can reach, each with its reason. */

/** Bytes of a request body. An array of 100,000 hashes has 4.3 MB. */
export const BODY_BYTES_MAX = 8 * 1024 * 1024

/** Peers read at a time. An answer holds this many in memory, about 250 KiB of JSON. */
export const PAGE_PEERS = 1000

/** Peers in the overview of a torrent, for a person to read. */
export const OVERVIEW_PEERS = 50

/** Characters of JSON that are buffered before they are written. */
export const CHUNK_CHARACTERS = 64 * 1024

/** Torrents looked up at a time for a streamed answer. */
export const TORRENTS_PER_CALL = 500

/** Entries of a page of a listing: the default, and the maximum. */
export const LIST_ENTRIES = 1000
export const LIST_ENTRIES_MAX = 10_000

/** Maximum number of entries in one call to the admin side. */
export const ENTRIES_PER_CALL = 10_000

/** Invalid tokens of one address in one window. More are answered with 429. */
export const INVALID_TOKENS_MAX = 10
export const INVALID_TOKENS_WINDOW_SECONDS = 60

/** Addresses whose invalid tokens are counted. When the table is full, the oldest is evicted. */
export const COUNTED_ADDRESSES_MAX = 10_000

/** Largest count, time or lifetime that a client may set: the tables store 32 bits. */
export const COUNT_MAX = 2 ** 32 - 1
