/** Every bound of the API that a client can push against, with its reason. */

/** Bytes of a body. 100,000 hashes in an array are 4.3 MB. */
export const BODY_BYTES_MAX = 8 * 1024 * 1024

/** Peers asked for at once: what one answer holds in memory, some 250 KiB of JSON. */
export const PAGE_PEERS = 1000

/** Peers in the overview of a torrent: as many as a person looks through. */
export const OVERVIEW_PEERS = 50

/** Characters of JSON that are collected before they are written. */
export const CHUNK_CHARACTERS = 64 * 1024

/** Torrents looked up at once for an answer that is written as it goes. */
export const TORRENTS_PER_CALL = 500

/** Entries that one call to the admin side reads or changes. */
export const ENTRIES_PER_CALL = 10_000

/** Invalid tokens that one address may send in one window before it has to wait for the next. */
export const INVALID_TOKENS_MAX = 10
export const INVALID_TOKENS_WINDOW_SECONDS = 60

/** Addresses whose invalid tokens are counted; the oldest is forgotten for the next one. */
export const COUNTED_ADDRESSES_MAX = 10_000
