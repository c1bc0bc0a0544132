import type { Admin } from '../../admin/admin.ts'
import type { KeyFormat } from '../../protocol/key.ts'
import { ENTRIES_PER_CALL } from './limits.ts'
import type { RepeatStatus, Reply } from './replies.ts'

/** The objects that every handler can use. */
export type Services = {
  readonly admin: Admin
  /** Whether the ids of users are UUIDs. Otherwise they are numbers. */
  readonly userIdUuid: boolean
  readonly repeatStatus: RepeatStatus
  readonly keyFormat: KeyFormat
}

/** One request for an operation of the document. */
export type Call = Services & {
  /** A parameter of the path, percent-decoded, by its name in the document. */
  param(name: string): string
  readonly query: URLSearchParams
  /** The JSON body, valid for the document's schema. Undefined if it is optional and absent. */
  readonly body: unknown
}

export type Handler = (call: Call) => Promise<Reply>

/**
 * Calls `send` with at most ENTRIES_PER_CALL entries at a time, and returns all answers in order.
 */
export async function inBatches<Entry, Answer>(
  entries: readonly Entry[],
  send: (batch: readonly Entry[]) => Promise<readonly Answer[]>,
): Promise<Answer[]> {
  const answers: Answer[] = []
  for (let n = 0; n < entries.length; n += ENTRIES_PER_CALL) {
    for (const answer of await send(entries.slice(n, n + ENTRIES_PER_CALL))) answers.push(answer)
  }
  return answers
}
