import type { Admin } from '../../admin/admin.ts'
import { ENTRIES_PER_CALL } from './limits.ts'
import type { Reply } from './replies.ts'

/** What the handlers of all operations ask. */
export type Services = {
  readonly admin: Admin
  /** Whether users are kept by UUID or by number. */
  readonly userIdUuid: boolean
}

/** One request to an operation of the document. */
export type Call = Services & {
  /** Of the path, percent-decoded, by the document's names. */
  param(name: string): string
  /** Of the shape that the document says; undefined when there may be none and is none. */
  readonly body: unknown
}

export type Handler = (call: Call) => Promise<Reply>

/** Calls `ask` for so many entries at a time as one call may have, in order. */
export async function inBatches<Entry, Answer>(
  entries: readonly Entry[],
  ask: (batch: readonly Entry[]) => Promise<readonly Answer[]>,
): Promise<Answer[]> {
  const answers: Answer[] = []
  for (let n = 0; n < entries.length; n += ENTRIES_PER_CALL) {
    for (const answer of await ask(entries.slice(n, n + ENTRIES_PER_CALL))) answers.push(answer)
  }
  return answers
}
