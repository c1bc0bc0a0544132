/**
 * Detects a stall. It is polled at even intervals, and polls are counted instead of seconds, so
 * that a pause of the machine, or of this process, does not look like a stall.
 */
export type Watched = {
  /** True once `progress` was the same for `pollsMax` polls; false again when it has changed. */
  stalled(): boolean
}

/** Watches a number that changes continually unless there is a stall. */
export function watchProgress(progress: () => number, pollsMax: number): Watched {
  let last = progress()
  let samePolls = 0
  return {
    stalled() {
      const now = progress()
      samePolls = now === last ? samePolls + 1 : 0
      last = now
      return samePolls >= pollsMax
    },
  }
}
