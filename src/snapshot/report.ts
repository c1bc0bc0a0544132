/** Content of a snapshot by its file. */
export type SnapshotContents = {
  /** Unix seconds. */
  readonly createdSeconds: number
  readonly torrents: number
  /** Peers per family. */
  readonly peers: readonly [number, number]
  readonly bytes: number
}

export type WriteReport = SnapshotContents & {
  readonly file: string
  readonly millis: number
}

export type RestoreReport = {
  /** The loaded snapshot; undefined if no file was complete. */
  readonly file: string | undefined
  readonly contents: SnapshotContents | undefined
  /** Inserted peers. */
  readonly torrents: number
  readonly peers: readonly [number, number]
  /** Skipped peers: expired; newer, left or of a removed user; without space in the tables. */
  readonly expired: number
  readonly newer: number
  readonly refused: number
  readonly millis: number
  /** Skipped files and the reasons. */
  readonly skipped: readonly { readonly file: string; readonly reason: string }[]
}

/**
 * A snapshot cannot be written or loaded. The message is for the operator. The tables are intact.
 */
export class SnapshotError extends Error {
  override readonly name = 'SnapshotError'
}

/** The caller stopped the job. */
export class SnapshotStopped extends SnapshotError {
  constructor() {
    super('the snapshot was stopped')
  }
}
