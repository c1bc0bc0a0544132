import { DatabaseTimeout } from './time-limit.ts'

/** Runs jobs one after another, in the order of the calls. */
export type Turns = {
  /**
   * Rejects with a DatabaseTimeout if the job cannot begin within the time limit. Such a job is
   * never run, because its caller has received the failure already.
   */
  take<T>(job: () => Promise<T>): Promise<T>
  /** Rejects further jobs, and resolves when all earlier ones have ended. */
  close(): Promise<void>
}

export function createTurns(waitMillisMax: number): Turns {
  let last: Promise<unknown> = Promise.resolve()
  let closed = false

  function enqueue<T>(job: () => Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      let expired = false
      const timer = setTimeout(() => {
        expired = true
        reject(new DatabaseTimeout('earlier statements did not end', waitMillisMax))
      }, waitMillisMax)
      last = last.then(async () => {
        clearTimeout(timer)
        if (expired) return
        await job().then(resolve, reject)
      })
    })
  }

  return {
    take: job => (closed ? Promise.reject(new Error('the database is closed')) : enqueue(job)),
    async close() {
      closed = true
      await last
    },
  }
}
