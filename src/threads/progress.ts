/**
 * Tells whether something stands still. It is looked at in even steps, and counted are looks and not seconds: a machine that was paused for an
 * hour, or a process that had no processor, finds nobody dead when it goes on.
 */
export type Watched = {
  /** True from the look on at which `progress` was the same for `looksMax` looks; false again when it went on. */
  stalled(): boolean
}

/** Watches a number that changes as long as all is well. */
export function watchProgress(progress: () => number, looksMax: number): Watched {
  let last = progress()
  let sameLooks = 0
  return {
    stalled() {
      const now = progress()
      sameLooks = now === last ? sameLooks + 1 : 0
      last = now
      return sameLooks >= looksMax
    },
  }
}
