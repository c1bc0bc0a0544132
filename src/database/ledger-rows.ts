import type { SessionCounts } from '../protocol/session-counts.ts'

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
}

/** A session as it is stored. */
export type SessionRow = SessionCounts & { readonly user: string }

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

/** Rows that are wanted: those that meet each given condition. */
export type RowFilter = {
  /** The user has completed the torrent. */
  readonly isCompleted?: boolean
  /** The user has seeded for fewer seconds. */
  readonly seedingBelow?: number
  /** The last announce was before this Unix second. */
  readonly lastBefore?: number
}
