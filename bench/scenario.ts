/** Size of a run: full results, a quick check in some minutes, or a smoke test. */
export type Size = 'full' | 'quick' | 'smoke'

export type Plan = {
  readonly size: Size
  /** Rounds. Each measures every subject in turn. */
  readonly runs: number
  /** Seconds of one measurement. */
  readonly seconds: number
  /** `engine.memory` of the attacked tracker. */
  readonly memory?: string
}

/** The numbers of one measurement, by their names in metrics.ts. */
export type Run = Readonly<Record<string, number>>

export type Row = {
  readonly name: string
  /** Runs in the order of the rounds. Run n of all rows is of the same round. */
  readonly runs: readonly Run[]
}

export type Result = {
  readonly title: string
  /** Parameters of the scenario, for readers of the file. */
  readonly options: object
  readonly rows: readonly Row[]
  /** The reference row and the compared number. */
  readonly base?: { readonly name: string; readonly metric: string }
  /** Omitted subjects and the reasons. */
  readonly notes: readonly string[]
}

export type Scenario = {
  readonly name: string
  readonly about: string
  /** Time limit of a full run in seconds. */
  readonly secondsMax: number
  run(plan: Plan): Promise<Result>
}

export const PLANS: Readonly<Record<Size, Omit<Plan, 'size'>>> = {
  full: { runs: 5, seconds: 4 },
  quick: { runs: 3, seconds: 1 },
  smoke: { runs: 1, seconds: 0.2 },
}

/** Selects a value by the size of the run. */
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
