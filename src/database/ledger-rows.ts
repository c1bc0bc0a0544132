import type { SessionCounts } from '../protocol/session-counts.ts'
import type { SessionTotals } from '../protocol/session-totals.ts'

/** Rows of the ledger, and the changes that announces make to them. */

/** Changes of several users that are written together. */
export type Batch = {
  /** Unique among all batches. */
  readonly id: number
  /** Whether an earlier attempt to write this batch may have succeeded. */
  attempted: boolean
  readonly users: readonly UserChange[]
}

/** Changes by one user's sessions. Bytes are the credited ones. */
export type UserChange = {
  readonly user: string
  uploaded: bigint
  downloaded: bigint
  completed: number
  /** Unix seconds. */
  updated: number
  readonly torrents: Map<string, LedgerRow>
  /** Sessions by info hash and peer id. */
  readonly sessions: Map<string, SessionRow>
  /**
   * The same where several nodes write: then the write computes all numbers above, and `torrents`,
   * from these totals, and `sessions` is empty.
   */
  readonly shared?: Map<string, StoredTotals>
  /** The totals of the user's row after the write of `shared`; undefined without a row. */
  stored?: UserSums | undefined
}

/** Totals in the row of a user. */
export type UserSums = {
  readonly uploaded: bigint
  readonly downloaded: bigint
  readonly completed: number
}

/** A session as it is stored. */
export type SessionRow = SessionCounts & { readonly user: string }

/** A session with its totals, as several nodes store it. */
export type StoredTotals = SessionTotals & Pick<SessionRow, 'user' | 'hash' | 'peerId'>

/** A session that is loaded; it has totals where several nodes write. */
export type LoadedSession = SessionRow & { readonly totals?: SessionTotals }

/** A session with the number of the batch that wrote it. */
export type BatchedSession = SessionRow & { readonly batch: number }

/** A user's numbers in a torrent: growth in a batch, sums in the table. */
export type LedgerRow = {
  readonly user: string
  readonly hash: string
  uploaded: bigint
  downloaded: bigint
  creditedUp: bigint
  creditedDown: bigint
  idleUp: bigint
  seeding: number
  completed: number
  left: number
  first: number
  last: number
  /** 0 for never. */
  completedAt: number
}

/** Selects the rows that meet every given condition. */
export type RowFilter = {
  /** The user has completed the torrent. */
  readonly isCompleted?: boolean
  /** The user has seeded for fewer seconds. */
  readonly seedingBelow?: number
  /** The last announce was before this Unix second. */
  readonly lastBefore?: number
}

/** Adds `next`, which is newer, to `known`. */
export function mergeTorrent(known: LedgerRow, next: LedgerRow): void {
  known.uploaded += next.uploaded
  known.downloaded += next.downloaded
  known.creditedUp += next.creditedUp
  known.creditedDown += next.creditedDown
  known.idleUp += next.idleUp
  known.seeding += next.seeding
  known.completed += next.completed
  if (next.last >= known.last) known.left = next.left
  known.first = Math.min(known.first, next.first)
  known.last = Math.max(known.last, next.last)
  known.completedAt = Math.max(known.completedAt, next.completedAt)
}
