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
export class Supervisor {
  readonly #options: SupervisorOptions
  readonly #children = new Map<number, Child>()
  /** Replacements that are not ready yet. */
  readonly #successors = new Map<number, Child>()
  /** Replaced children. */
  readonly #leaving = new Map<Child, number>()
  readonly #timers = new Map<number, { cancel(): void }>()
  readonly #quickDeaths: number[]
  #stopping = false
  #allExited: (() => void) | undefined

  constructor(options: SupervisorOptions) {
    this.#options = options
    this.#quickDeaths = new Array<number>(options.count).fill(0)
    for (let n = 0; n < options.count; n++) this.#startChild(n)
  }

  /**
   * Starts another child `n` beside the running one, which hands over once the new one is ready.
   * Resolves after that. Rejects if the new one exits first; then the old one continues.
   */
  replace(n: number): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#stopping || this.#successors.has(n)) return reject(new Error('not now'))
      const started = this.#options.now()
      let isInPlace = false
      const kill = () => this.#successors.get(n)?.kill()
      const late = this.#options.setTimer(kill, READY_MILLIS_MAX)
      const ready = (child: Child) => {
        if (isInPlace || this.#stopping) return
        isInPlace = true
        late.cancel()
        resolve(this.#takePlace(n, child))
      }
      const successor = this.#launch(n, ready, (why, child) => {
        if (isInPlace) return this.#placeIsEmpty(n, child, why, started)
        late.cancel()
        this.#successors.delete(n)
        reject(new Error(why))
      })
      if (successor) this.#successors.set(n, successor)
    })
  }

  /**
   * Stops all children, kills the remaining ones after `millis`, and resolves when all have exited.
   */
  async stop(millis: number): Promise<void> {
    this.#startNoMore()
    if (this.#all().length === 0) return
    const exited = new Promise<void>(resolve => {
      this.#allExited = resolve
    })
    for (const child of this.#all()) child.stop()
    const late = this.#options.setTimer(() => this.kill(), millis)
    await exited
    late.cancel()
  }

  /** Kills all children. */
  kill(): void {
    this.#startNoMore()
    for (const child of this.#all()) child.kill()
  }

  #all(): Child[] {
    return [...this.#children.values(), ...this.#successors.values(), ...this.#leaving.keys()]
  }

  /**
   * Calls `ended` once, without a child if it could not be started. Returns undefined if the child
   * has exited already.
   */
  #launch(
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
      if (this.#stopping && this.#all().length === 0) this.#allExited?.()
    }
    try {
      child = this.#options.start(n, exited, () => child && ready(child))
    } catch (error) {
      exited((error as Error).message)
    }
    return isEnded ? undefined : child
  }

  #startChild(n: number): void {
    this.#timers.delete(n)
    const started = this.#options.now()
    const ended = (why: string, child: Child | undefined) =>
      this.#placeIsEmpty(n, child, why, started)
    const child = this.#launch(n, () => {}, ended)
    if (child) this.#children.set(n, child)
  }

  #placeIsEmpty(n: number, child: Child | undefined, why: string, started: number): void {
    if (child && this.#leaving.delete(child)) return
    this.#children.delete(n)
    if (!this.#stopping) this.#startAgain(n, child?.pid, why, this.#options.now() - started)
  }

  #startAgain(n: number, pid: number | undefined, why: string, livedMillis: number): void {
    const deaths = livedMillis >= HEALTHY_MILLIS ? 1 : (this.#quickDeaths[n] ?? 0) + 1
    this.#quickDeaths[n] = deaths
    const restartMillis =
      deaths === 1 ? 0 : Math.min(BACKOFF_MILLIS_MIN * 2 ** (deaths - 2), BACKOFF_MILLIS_MAX)
    this.#options.died({ n, pid, why, quickDeaths: deaths, restartMillis })
    const timer = this.#options.setTimer(() => this.#startChild(n), restartMillis)
    this.#timers.set(n, timer)
  }

  #startNoMore(): void {
    this.#stopping = true
    for (const timer of this.#timers.values()) timer.cancel()
  }

  /** Replaces the current child of this number by `child`. */
  async #takePlace(n: number, child: Child): Promise<void> {
    this.#successors.delete(n)
    this.#timers.get(n)?.cancel()
    this.#timers.delete(n)
    const old = this.#children.get(n)
    this.#children.set(n, child)
    if (!old) return
    this.#leaving.set(old, n)
    const killLate = () => {
      if (this.#leaving.has(old)) old.kill()
    }
    this.#options.setTimer(killLate, LEAVE_MILLIS_MAX + this.#options.leaveMillis())
    // Frequent reloads would otherwise fill the machine with old children.
    const others = [...this.#leaving.keys()].filter(other => this.#leaving.get(other) === n)
    for (const other of others.slice(0, -LEAVING_MAX)) other.stop()
    await old.handOver()
  }
}
