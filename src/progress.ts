/**
 * Says whether something has stalled. It is polled at even intervals, and polls are counted instead
 * of seconds: after a pause of the machine, or of this process, nothing seems to have stalled.
 */
export type Watched = {
  /** True once `progress` was the same for `pollsMax` polls; false again when it has changed. */
  stalled(): boolean
}

/** Watches a number that keeps changing as long as all is well. */
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
