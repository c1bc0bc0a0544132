/** How much time there is: everything for the record, a look in some minutes, or just enough to see that it works. */
export type Size = 'full' | 'quick' | 'smoke'

export type Plan = {
  readonly size: Size
  /** Rounds, each with every subject in turn. */
  readonly runs: number
  /** Length of one measurement. */
  readonly seconds: number
}

/** Numbers of one measurement, by the names of metrics.ts. */
export type Run = Readonly<Record<string, number>>

export type Row = {
  readonly name: string
  /** In the order of the rounds: run n of all rows was made at nearly the same time. */
  readonly runs: readonly Run[]
}

export type Result = {
  readonly title: string
  /** What it was asked to do, for whoever reads the file. */
  readonly options: object
  readonly rows: readonly Row[]
  /** The row that others are compared with, and by which number. */
  readonly base?: { readonly name: string; readonly metric: string }
  /** What was left out, and why. */
  readonly notes: readonly string[]
}

export type Scenario = {
  readonly name: string
  readonly about: string
  /** Seconds after which a run of the full size has surely failed. */
  readonly secondsMax: number
  run(plan: Plan): Promise<Result>
}

export const PLANS: Readonly<Record<Size, Omit<Plan, 'size'>>> = {
  full: { runs: 5, seconds: 4 },
  quick: { runs: 3, seconds: 1 },
  smoke: { runs: 1, seconds: 0.2 },
}

/** One of three, by size. */
export function bySize<Value>(plan: Plan, full: Value, quick: Value, smoke: Value): Value {
  return { full, quick, smoke }[plan.size]
}

/** Collects the runs of rows that are measured in turn. */
export type Rows = {
  add(name: string, run: Run): void
  readonly rows: readonly Row[]
}

export function createRows(): Rows {
  const runs = new Map<string, Run[]>()
  return {
    add(name, run) {
      const before = runs.get(name)
      if (before) before.push(run)
      else runs.set(name, [run])
    },
    get rows() {
      return [...runs].map(([name, all]) => ({ name, runs: all }))
    },
  }
}
