/**
 * A scrape of several torrents, and its reply. Both begin as every record does (announce-record.ts: LENGTH, ID, KIND);
 * integers little-endian.
 */
export const HASH_COUNT = 10 // u16, in request and reply
export const SCRAPE_HEADER_BYTES = 16

/** Reply: one entry for each hash asked about, in the same order; a torrent that is not known is three zeros. */
export const ENTRY_SEEDERS = 0 // u32
export const ENTRY_COMPLETED = 4 // u32
export const ENTRY_LEECHERS = 8 // u32
export const ENTRY_BYTES = 12
