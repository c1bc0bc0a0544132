/** Growth of the counts of a session. */
export type Growth = {
  up: number
  down: number
  /** The torrent has no leecher. */
  isIdle: boolean
  /** Seconds since the session's last announce. */
  silence: number
}
