/**
 * The counts that a session, one client of a user in one torrent, has reported, as the database
 * stores them. Bytes, Unix seconds, and hashes in hexadecimal digits.
 */
export type SessionCounts = {
  readonly hash: string
  readonly peerId: string
  readonly uploaded: number
  readonly downloaded: number
  readonly finalUp: number
  readonly finalDown: number
  readonly left: number
  readonly restarted: number
  readonly first: number
  readonly seen: number
  readonly state: number
}
