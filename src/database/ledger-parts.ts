import type { FactorRow } from './factors.ts'
import type { BatchedSession, LedgerRow, SessionRow } from './ledger-rows.ts'
import { loadOutline, type Outline, upsertChanges } from './outline.ts'
import type { Store } from './table.ts'

/** One table of the ledger. */
export type LedgerPart<Row> = {
  /** Yields all rows in the order of the primary key. */
  load(): AsyncIterable<readonly Row[]>
  /** Adds or replaces rows. */
  save(rows: readonly Row[]): Promise<void>
}

/** The tables of the ledger, for export and import. */
export type LedgerParts = {
  /** Whether the tables exist: they are created when users are enabled. */
  exist(): Promise<boolean>
  readonly torrents: LedgerPart<LedgerRow>
  readonly sessions: LedgerPart<SessionRow>
  readonly factors: LedgerPart<FactorRow>
}

type Outlines = {
  readonly torrents: Outline<LedgerRow>
  readonly sessions: Outline<BatchedSession>
  readonly factors: Outline<FactorRow>
}

export function ledgerParts(
  store: Store,
  { torrents, sessions, factors }: Outlines,
  prepare: () => Promise<void>,
): LedgerParts {
  const { dialect, transact } = store
  const part = <Row>(outline: Outline<Row>): LedgerPart<Row> => {
    const others = outline.others.map(column => ({ ...column, change: 'set' as const }))
    return {
      load: () => loadOutline(dialect, outline),
      async save(rows) {
        await prepare()
        await transact(db => upsertChanges(db, dialect, { ...outline, others }, rows))
      },
    }
  }
  const stored = part(sessions)
  return {
    async exist() {
      for (const { table } of [torrents, sessions, factors]) {
        if (!(await dialect.columns(table))) return false
      }
      return true
    },
    torrents: part(torrents),
    factors: part(factors),
    sessions: {
      async *load() {
        for await (const rows of stored.load()) {
          yield rows.map(({ batch, ...row }) => row)
        }
      },
      save: rows => stored.save(rows.map(row => ({ ...row, batch: 0 }))),
    },
  }
}
