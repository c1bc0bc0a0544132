/** A process that a supervisor keeps running. */
export type Child = {
  /** Undefined when the system could not start it. */
  readonly pid: number | undefined
  stop(): void
  kill(): void
}

/** An end that was not asked for. */
export type Death = {
  readonly n: number
  readonly pid: number | undefined
  readonly why: string
  /** How many times in a row this child died young, this time included. */
  readonly quickDeaths: number
  /** Until the next start. */
  readonly restartMillis: number
}

export type SupervisorOptions = {
  readonly count: number
  /** Starts child number `n`, and calls `exited` when it ends, for whatever reason. May throw. */
  readonly start: (n: number, exited: (why: string) => void) => Child
  readonly died: (death: Death) => void
  /** Milliseconds, monotonic. */
  readonly now: () => number
  readonly setTimer: (run: () => void, millis: number) => { cancel(): void }
}

export type Supervisor = {
  /** Stops all children, kills those that are not gone after `millis`, and resolves when none is left. */
  stop(millis: number): Promise<void>
  /** Ends all children at once. */
  kill(): void
}

/** A child that lived so long starts again at once; one that dies sooner waits, twice as long each time. */
const HEALTHY_MILLIS = 10_000
const BACKOFF_MILLIS_MIN = 100
const BACKOFF_MILLIS_MAX = 10_000

/** Keeps `count` children running until stopped. It never gives up on one. */
export function startSupervisor(options: SupervisorOptions): Supervisor {
  const children = new Map<number, Child>()
  const timers = new Map<number, { cancel(): void }>()
  const quickDeaths = new Array<number>(options.count).fill(0)
  let stopping = false
  let allGone: (() => void) | undefined

  function startChild(n: number): void {
    timers.delete(n)
    const started = options.now()
    let child: Child | undefined
    let ended = false
    const exited = (why: string) => {
      if (ended) return
      ended = true
      children.delete(n)
      if (!stopping) startAgain(n, child?.pid, why, options.now() - started)
      else if (children.size === 0) allGone?.()
    }
    try {
      child = options.start(n, exited)
      if (!ended) children.set(n, child)
    } catch (error) {
      exited((error as Error).message)
    }
  }

  function startAgain(n: number, pid: number | undefined, why: string, livedMillis: number): void {
    const deaths = livedMillis >= HEALTHY_MILLIS ? 1 : (quickDeaths[n] ?? 0) + 1
    quickDeaths[n] = deaths
    const restartMillis =
      deaths === 1 ? 0 : Math.min(BACKOFF_MILLIS_MIN * 2 ** (deaths - 2), BACKOFF_MILLIS_MAX)
    options.died({ n, pid, why, quickDeaths: deaths, restartMillis })
    timers.set(
      n,
      options.setTimer(() => startChild(n), restartMillis),
    )
  }

  function startNoMore(): void {
    stopping = true
    for (const timer of timers.values()) timer.cancel()
  }

  for (let n = 0; n < options.count; n++) startChild(n)
  return {
    async stop(millis) {
      startNoMore()
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
      startNoMore()
      for (const child of children.values()) child.kill()
    },
  }
}
