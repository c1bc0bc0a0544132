/**
 * A scrape of several torrents, and its reply. Both begin as every record does (announce-record.ts: LENGTH, ID, KIND);
 * integers little-endian.
 */
export const HASH_COUNT = 10 // u16, in request and reply
export const SCRAPE_HEADER_BYTES = 16
/** A request has these before its hashes, where keys or users are on: what the scrape's path names. */
export const SCRAPE_KEY = 16 // 20
export const SCRAPE_USER_KEY = 36 // 20
export const SCRAPE_REQUEST_HEADER_BYTES = 56

/** Request: HASH_COUNT info hashes of 20 bytes follow SCRAPE_REQUEST_HEADER_BYTES. Reply: as many entries, in the same order; a torrent that is not known is three zeros. */
export const ENTRY_HASH = 0 // 20
export const ENTRY_SEEDERS = 20 // u32
export const ENTRY_COMPLETED = 24 // u32
export const ENTRY_LEECHERS = 28 // u32
export const ENTRY_BYTES = 32
