/** A process that a supervisor keeps running. */
export type Child = {
  readonly pid: number
  stop(): void
  kill(): void
}

export type SupervisorOptions = {
  readonly count: number
  /** Starts child number `n`, and calls `exited` once when it ends, for whatever reason. */
  readonly start: (n: number, exited: (why: string) => void) => Child
  /** Told of each death that was not asked for, and how long until the next start. */
  readonly died: (n: number, pid: number, why: string, restartMillis: number) => void
  /** Milliseconds, monotonic. */
  readonly now: () => number
  readonly setTimer: (run: () => void, millis: number) => { cancel(): void }
}

export type Supervisor = {
  readonly running: readonly Child[]
  /** Stops all children, kills those that are not gone after `millis`, and resolves when none is left. */
  stop(millis: number): Promise<void>
  /** Ends all children at once. */
  kill(): void
}

/** A child that lived so long starts again at once; one that dies sooner waits, twice as long each time. */
const HEALTHY_MILLIS = 10_000
const BACKOFF_MILLIS_MIN = 100
const BACKOFF_MILLIS_MAX = 10_000

/** Keeps `count` children running until stopped. */
export function startSupervisor(options: SupervisorOptions): Supervisor {
  const children = new Map<number, Child>()
  const timers = new Map<number, { cancel(): void }>()
  const quickDeaths = new Array<number>(options.count).fill(0)
  let stopping = false
  let allGone: (() => void) | undefined

  function startChild(n: number): void {
    timers.delete(n)
    const started = options.now()
    const child = options.start(n, why => {
      children.delete(n)
      if (stopping) {
        if (children.size === 0) allGone?.()
        return
      }
      const wait = restartMillis(n, options.now() - started)
      options.died(n, child.pid, why, wait)
      timers.set(
        n,
        options.setTimer(() => startChild(n), wait),
      )
    })
    children.set(n, child)
  }

  function restartMillis(n: number, livedMillis: number): number {
    if (livedMillis >= HEALTHY_MILLIS) quickDeaths[n] = 0
    const deaths = quickDeaths[n] ?? 0
    quickDeaths[n] = deaths + 1
    return deaths === 0 ? 0 : Math.min(BACKOFF_MILLIS_MIN * 2 ** (deaths - 1), BACKOFF_MILLIS_MAX)
  }

  for (let n = 0; n < options.count; n++) startChild(n)
  return {
    get running() {
      return [...children.values()]
    },
    async stop(millis) {
      stopping = true
      for (const timer of timers.values()) timer.cancel()
      if (children.size === 0) return
      const gone = new Promise<void>(resolve => {
        allGone = resolve
      })
      for (const child of children.values()) child.stop()
      const late = options.setTimer(() => {
        for (const child of children.values()) child.kill()
      }, millis)
      await gone
      late.cancel()
    },
    kill() {
      stopping = true
      for (const timer of timers.values()) timer.cancel()
      for (const child of children.values()) child.kill()
    },
  }
}
