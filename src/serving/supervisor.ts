/** A process that a supervisor keeps running. */
export type Child = {
  /** Undefined if the system could not start it. */
  readonly pid: number | undefined
  /**
   * Makes it finish its requests and exit. Resolves when it accepts no more work, or has exited.
   */
  handOver(): Promise<void>
  stop(): void
  kill(): void
}

/** An unexpected exit. */
export type Death = {
  readonly n: number
  readonly pid: number | undefined
  readonly why: string
  /** Count of early deaths in a row, this one included. */
  readonly quickDeaths: number
  /** Milliseconds until the next start. */
  readonly restartMillis: number
}

export type SupervisorOptions = {
  readonly count: number
  /** Starts child `n`, calls `ready` once it works and `exited` at its exit. May throw. */
  readonly start: (n: number, exited: (why: string) => void, ready: () => void) => Child
  readonly died: (death: Death) => void
  /** Milliseconds that a replaced child may take to finish. */
  readonly leaveMillis: () => number
  /** Milliseconds, monotonic. */
  readonly now: () => number
  readonly setTimer: (run: () => void, millis: number) => { cancel(): void }
}

export type Supervisor = {
  /**
   * Starts another child `n` beside the running one, which hands over once the new one is ready.
   * Resolves after that. Rejects if the new one exits first; then the old one continues.
   */
  replace(n: number): Promise<void>
  /**
   * Stops all children, kills the remaining ones after `millis`, and resolves when all have exited.
   */
  stop(millis: number): Promise<void>
  /** Kills all children. */
  kill(): void
}

/** A child that ran this long restarts at once. Otherwise the delay doubles each time. */
const HEALTHY_MILLIS = 10_000
const BACKOFF_MILLIS_MIN = 100
const BACKOFF_MILLIS_MAX = 10_000

/** Time for a replacement to become ready, after which it is killed. */
const READY_MILLIS_MAX = 30_000
/** A replaced child is killed after leaveMillis and this time. */
const LEAVE_MILLIS_MAX = 90_000
/** Maximum replaced children that still run, per number. The oldest ones are stopped. */
const LEAVING_MAX = 4

/** Keeps `count` children running until stopped, and restarts each one without limit. */
export function startSupervisor(options: SupervisorOptions): Supervisor {
  const children = new Map<number, Child>()
  /** Replacements that are not ready yet. */
  const successors = new Map<number, Child>()
  /** Replaced children. */
  const leaving = new Map<Child, number>()
  const timers = new Map<number, { cancel(): void }>()
  const quickDeaths = new Array<number>(options.count).fill(0)
  let stopping = false
  let allGone: (() => void) | undefined

  const everyChild = () => [...children.values(), ...successors.values(), ...leaving.keys()]

  /**
   * Calls `ended` once, without a child if it could not be started. Returns undefined if the child
   * has exited already.
   */
  function launch(
    n: number,
    ready: (child: Child) => void,
    ended: (why: string, child: Child | undefined) => void,
  ): Child | undefined {
    let child: Child | undefined
    let isEnded = false
    const exited = (why: string) => {
      if (isEnded) return
      isEnded = true
      ended(why, child)
      if (stopping && everyChild().length === 0) allGone?.()
    }
    try {
      child = options.start(n, exited, () => child && ready(child))
    } catch (error) {
      exited((error as Error).message)
    }
    return isEnded ? undefined : child
  }

  function startChild(n: number): void {
    timers.delete(n)
    const started = options.now()
    const child = launch(
      n,
      () => {},
      (why, ended) => placeIsEmpty(n, ended, why, started),
    )
    if (child) children.set(n, child)
  }

  function placeIsEmpty(n: number, child: Child | undefined, why: string, started: number): void {
    if (child && leaving.delete(child)) return
    children.delete(n)
    if (!stopping) startAgain(n, child?.pid, why, options.now() - started)
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

  /** Replaces the current child of this number by `child`. */
  async function takePlace(n: number, child: Child): Promise<void> {
    successors.delete(n)
    timers.get(n)?.cancel()
    timers.delete(n)
    const old = children.get(n)
    children.set(n, child)
    if (!old) return
    leaving.set(old, n)
    options.setTimer(() => {
      if (leaving.has(old)) old.kill()
    }, LEAVE_MILLIS_MAX + options.leaveMillis())
    // Frequent reloads would otherwise fill the machine with old children.
    const others = [...leaving.keys()].filter(child => leaving.get(child) === n)
    for (const child of others.slice(0, -LEAVING_MAX)) child.stop()
    await old.handOver()
  }

  for (let n = 0; n < options.count; n++) startChild(n)
  return {
    replace(n) {
      return new Promise((resolve, reject) => {
        if (stopping || successors.has(n)) return reject(new Error('not now'))
        const started = options.now()
        let isInPlace = false
        const late = options.setTimer(() => successors.get(n)?.kill(), READY_MILLIS_MAX)
        const successor = launch(
          n,
          child => {
            if (isInPlace || stopping) return
            isInPlace = true
            late.cancel()
            resolve(takePlace(n, child))
          },
          (why, child) => {
            if (isInPlace) return placeIsEmpty(n, child, why, started)
            late.cancel()
            successors.delete(n)
            reject(new Error(why))
          },
        )
        if (successor) successors.set(n, successor)
      })
    },
    async stop(millis) {
      startNoMore()
      if (everyChild().length === 0) return
      const gone = new Promise<void>(resolve => {
        allGone = resolve
      })
      for (const child of everyChild()) child.stop()
      const late = options.setTimer(() => {
        for (const child of everyChild()) child.kill()
      }, millis)
      await gone
      late.cancel()
    },
    kill() {
      startNoMore()
      for (const child of everyChild()) child.kill()
    },
  }
}
