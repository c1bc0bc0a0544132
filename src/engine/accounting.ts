/** The rules by which growth is credited. */
export type Accounting = {
  /**
   * Bytes per second of a session that are credited at most, on average; 0 does not limit. A
   * session may be ahead of this rate by what it allows in `maxRateBurst` seconds.
   */
  readonly maxRate: number
  readonly maxRateBurst: number
  /** Bytes per second of a session above which its user is flagged; 0 flags none. */
  readonly suspiciousRate: number
  /** Credit what was uploaded while the torrent had no leecher. */
  readonly creditIdleUpload: boolean
  /** Torrents that a user may download at once, and peers of a user in a torrent; 0 for any. */
  readonly downloadsPerUser: number
  readonly peersPerUser: number
}

/** Everything that clients report is credited. */
export const NO_ACCOUNTING: Accounting = {
  maxRate: 0,
  maxRateBurst: 1,
  suspiciousRate: 0,
  creditIdleUpload: true,
  downloadsPerUser: 0,
  peersPerUser: 0,
}
