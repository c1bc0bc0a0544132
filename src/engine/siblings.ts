import {
  chainFirst,
  chainNext,
  ENDPOINT_BYTES,
  ENDPOINT_SEEDER,
  SESSION_ADDRESSES,
  SESSION_ENDPOINTS,
  SESSION_HASH,
  SESSION_USER,
  type SessionKey,
  type Sessions,
} from './session-layout.ts'
import { sameKey } from './tables/hash-table.ts'
import { addDownloading } from './user-records.ts'

/** The sessions of one user in one torrent: they are in one chain of the table. */

/** Whether the session is of the user and torrent of the key. */
export function isSibling({ i32, u32 }: Sessions, session: number, key: SessionKey): boolean {
  return (
    u32[(session + SESSION_USER) >> 2] === key.user &&
    sameKey(i32, (session + SESSION_HASH) >> 2, key.view, key.hashAt)
  )
}

/** Whether the held session has peers, and none of them is a seeder. */
export function isDownloading({ u8, u32 }: Sessions, session: number): boolean {
  const count = u32[(session + SESSION_ENDPOINTS) >> 2]!
  for (let n = 0; n < count; n++) {
    if (u8[session + SESSION_ADDRESSES + n * ENDPOINT_BYTES + ENDPOINT_SEEDER] === 1) return false
  }
  return count > 0
}

/**
 * Counts the torrent for the user whose session began or ended a download, unless another session
 * of the user is downloading it. `was` is what `isDownloading` returned before the change. The
 * partition is held.
 */
export function noteDownloading(
  sessions: Sessions,
  key: SessionKey,
  session: number,
  was: boolean,
): void {
  const is = isDownloading(sessions, session)
  if (is === was || key.user === 0) return
  if (!hasOtherDownload(sessions, key, session)) addDownloading(sessions.users, key.user, is)
}

/** Whether another session of the user is downloading the torrent. */
export function hasOtherDownload(sessions: Sessions, key: SessionKey, session: number): boolean {
  for (let other = chainFirst(sessions, key); other !== 0; other = chainNext(sessions, other)) {
    if (other === session || !isSibling(sessions, other, key)) continue
    if (isDownloading(sessions, other)) return true
  }
  return false
}
