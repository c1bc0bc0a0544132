/** What a snapshot holds, as its file says. */
export type SnapshotContents = {
  /** Unix seconds. */
  readonly createdSeconds: number
  readonly torrents: number
  /** Per family. */
  readonly peers: readonly [number, number]
  readonly bytes: number
}

export type WriteReport = SnapshotContents & {
  readonly file: string
  readonly millis: number
}

export type RestoreReport = {
  /** What was loaded; undefined when there was nothing, or nothing whole. */
  readonly file: string | undefined
  readonly contents: SnapshotContents | undefined
  /** Put into the tables. */
  readonly torrents: number
  readonly peers: readonly [number, number]
  /** Peers left out: silent for too long, already there with a newer announce, without room. */
  readonly expired: number
  readonly newer: number
  readonly refused: number
  readonly millis: number
  /** Files that were passed over, and why. */
  readonly skipped: readonly { readonly file: string; readonly reason: string }[]
}

/** A snapshot could not be written or loaded; the message is for the operator. The tables are as good as before. */
export class SnapshotError extends Error {
  override readonly name = 'SnapshotError'
}

/** The work was stopped by who asked for it. */
export class SnapshotStopped extends SnapshotError {
  constructor() {
    super('the snapshot was stopped')
  }
}
