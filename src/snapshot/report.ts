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

/** Word 0 of what stops a job under way when it is not 0: a thread must not be ended while it may hold a stripe's lock. */
export type StopWord = Int32Array<SharedArrayBuffer>

/** Throws SnapshotStopped once the word is set. */
export function throwIfStopped(stop: StopWord | undefined): void {
  if (stop && Atomics.load(stop, 0) !== 0) throw new SnapshotStopped()
}
