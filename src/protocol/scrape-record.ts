/**
 * A scrape of several torrents, and its reply. Both begin as every record does (announce-record.ts: LENGTH, ID, KIND);
 * integers little-endian.
 */
export const HASH_COUNT = 10 // u16, in request and reply
export const SCRAPE_HEADER_BYTES = 16

/** Request: HASH_COUNT info hashes of 20 bytes follow the header. Reply: as many entries, in the same order; a torrent that is not known is three zeros. */
export const ENTRY_HASH = 0 // 20
export const ENTRY_SEEDERS = 20 // u32
export const ENTRY_COMPLETED = 24 // u32
export const ENTRY_LEECHERS = 28 // u32
export const ENTRY_BYTES = 32
