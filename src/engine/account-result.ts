import { Failure } from '../protocol/failures.ts'
import { createSessionTotals, type SessionTotals } from '../protocol/session-totals.ts'

/** Result of `account`, valid until the next call. One object per thread. */
export type AccountResult = {
  /** The download is to be counted for the torrent: the session's first `completed`. */
  completed: boolean
  /** The download of the session was counted before. */
  counted: boolean
  /** The session is known under the address of the announce. */
  hasEndpoint: boolean
  /** The session has other addresses, which the response must not contain. */
  hasOthers: boolean
  /** The limit of the user that refuses the peer; `Failure.none` if none does. */
  refusal: Failure
  /** The session as all nodes know it, where there are others. */
  readonly shared: SessionTotals
  /** `shared` is that of the current announce. */
  hasShared: boolean
  /** The session as another node knows it. */
  readonly remote: SessionTotals
}

export function createAccountResult(): AccountResult {
  return {
    completed: false,
    counted: false,
    hasEndpoint: false,
    hasOthers: false,
    refusal: Failure.none,
    shared: createSessionTotals(),
    hasShared: false,
    remote: createSessionTotals(),
  }
}
