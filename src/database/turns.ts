/** Work done one piece after another, in the order it was asked for. */
export type Turns = {
  take<T>(work: () => Promise<T>): Promise<T>
  /** Refuses more, and resolves when what was asked for is done. */
  close(): Promise<void>
}

export function createTurns(): Turns {
  let last: Promise<unknown> = Promise.resolve()
  let closed = false
  return {
    take(work) {
      if (closed) return Promise.reject(new Error('the database is closed'))
      const result = last.then(work)
      last = result.catch(() => undefined)
      return result
    },
    async close() {
      closed = true
      await last
    },
  }
}
