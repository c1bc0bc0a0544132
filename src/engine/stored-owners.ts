import type { Bytes } from '../protocol/bytes.ts'
import { HASH_BYTES } from '../protocol/records.ts'
import { type Access, findUser } from './access.ts'
import { attachStored, findEndpoint } from './endpoints.ts'
import type { Engine } from './engine.ts'
import { ownerIn } from './peer-owner.ts'
import {
  ENDPOINTS_MAX,
  SESSION_ENDPOINTS,
  SESSION_SEEN,
  SESSION_STATE,
  type SessionKey,
  SessionState,
} from './session-layout.ts'
import { holdSession, releaseSession } from './sessions.ts'
import type { SoughtPeer } from './tables/find-peer.ts'
import { someKeys } from './tables/hash-table.ts'
import { hashInfoHash } from './tables/keyed-hash.ts'

/**
 * The owners of stored peers. A peer names its user by a number that is valid in one process only,
 * so a snapshot also stores the keys of the users by these numbers. A restored peer belongs to the
 * session of its user again: two addresses of one client count once before the client announces.
 */

/** A stored user: the number, u32 little-endian, and the 20 bytes of the key. */
export const STORED_USER_BYTES = 4 + HASH_BYTES

/** Progress of the export of users: the place in their table, -1 at its end. */
export type UserCursor = { place: number }

/**
 * Writes users to `out` at `at` until it is full, and returns where they end. `cursor.place` is -1
 * once all are written.
 */
export function exportUsers(
  { userKeys }: Access,
  cursor: UserCursor,
  out: Bytes,
  at: number,
): number {
  const most = Math.floor((out.u8.length - at) / STORED_USER_BYTES)
  let end = at
  cursor.place = someKeys(userKeys, cursor.place, most, (bytes, key, number) => {
    out.view.setUint32(end, number, true)
    for (let n = 0; n < HASH_BYTES; n++) out.u8[end + 4 + n] = bytes[key + n]!
    end += STORED_USER_BYTES
  })
  return end
}

/** The users of a snapshot, and the engine that its peers are restored to. */
export type StoredOwners = {
  readonly engine: Engine
  /** The current numbers of users by their stored numbers; 0 for users that are not known. */
  readonly numbers: Map<number, number>
  /** Whether the engine has the users of a database: a user that it lacks was removed. */
  readonly areLoaded: boolean
}

export function createStoredOwners(engine: Engine, usersAreLoaded: boolean): StoredOwners {
  const areLoaded = usersAreLoaded && engine.access.rules.users
  return { engine, numbers: new Map(), areLoaded }
}

/** Reads whole stored users from `at` to `end`. */
export function readStoredUsers(
  { engine, numbers }: StoredOwners,
  { view }: Bytes,
  at: number,
  end: number,
): void {
  for (let user = at; user < end; user += STORED_USER_BYTES) {
    numbers.set(view.getUint32(user, true), findUser(engine.access, view, user + 4))
  }
}

/** The current number of the user in a stored word of DETAIL_USER; 0 for none. */
export function storedOwner(owners: StoredOwners | undefined, word: number): number {
  const stored = ownerIn(word)
  return stored === 0 ? 0 : (owners?.numbers.get(stored) ?? 0)
}

/**
 * Whether the user in a stored word of DETAIL_USER was removed after the snapshot. A user who was
 * added while the snapshot was written is not among the stored ones.
 */
export function isRemovedOwner(owners: StoredOwners | undefined, word: number): boolean {
  return owners?.areLoaded === true && owners.numbers.get(ownerIn(word)) === 0
}

/** A stored peer whose user has a number. */
export type OwnedPeer = {
  readonly user: number
  readonly record: Bytes
  readonly hashAt: number
  readonly peer: SoughtPeer
  /** Unix seconds of its last announce. */
  readonly seen: number
}

/**
 * Whether the peer may return to its session. It may not if the client stopped or replaced the
 * address by others after this announce. The stripe is held.
 */
export function mayRejoin({ engine }: StoredOwners, owned: OwnedPeer): boolean {
  const { sessions } = engine
  const session = holdSession(sessions, keyOf(engine, owned))
  const isAllowed = session === 0 || isOpen(engine, session, owned)
  releaseSession(sessions)
  return isAllowed
}

function isOpen({ sessions }: Engine, session: number, { record, peer, seen }: OwnedPeer): boolean {
  const { u32 } = sessions
  const hasStopped = (u32[(session + SESSION_STATE) >> 2]! & SessionState.stopped) !== 0
  if (hasStopped && u32[(session + SESSION_SEEN) >> 2]! >= seen) return false
  return (
    u32[(session + SESSION_ENDPOINTS) >> 2]! < ENDPOINTS_MAX ||
    findEndpoint(sessions, session, peer.family, record, peer.addressAt) !== -1
  )
}

/** Adds the peer, which is in the swarm by now, to its session, if the session is known. */
export function rejoin({ engine }: StoredOwners, owned: OwnedPeer): void {
  attachStored(engine, keyOf(engine, owned), owned.record, owned.peer)
}

function keyOf(engine: Engine, { user, record, hashAt, peer }: OwnedPeer): SessionKey {
  const key = engine.sessionKey
  key.user = user
  key.hash = hashInfoHash(engine.hashKey, record.view, hashAt)
  key.view = record.view
  key.hashAt = hashAt
  key.idAt = peer.idAt
  return key
}
