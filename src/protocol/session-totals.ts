/**
 * The totals of a session, one client of a user in one torrent, as nodes exchange them. Every
 * count only grows, so that two versions of a session can be joined in any order and any number of
 * times: a late, repeated or lost message changes nothing once a later one has arrived.
 *
 * A client counts from its start. A run is the time between two starts of it, and its credit is
 * the growth from the lowest to the highest count that any node received in the run.
 */
export type SessionTotals = {
  /** Highest and lowest counts of the current run, in bytes. */
  uploaded: number
  downloaded: number
  baseUp: number
  baseDown: number
  /** Growth over all runs: bytes as reported, bytes as credited, and upload without a leecher. */
  rawUp: number
  rawDown: number
  creditUp: number
  creditDown: number
  idleUp: number
  left: number
  /** Counts at the end of the run before. */
  finalUp: number
  finalDown: number
  /** Unix seconds of the last and first announce, and of the start of the current run. */
  seen: number
  first: number
  restarted: number
  /** Seconds of seeding, and downloads. */
  seeding: number
  completed: number
  /** Number of the current run, from 0. */
  run: number
  /** Bits of SessionState (engine/session-layout.ts). */
  state: number
  /** Bytes beyond the maximum rate. */
  aheadUp: number
  aheadDown: number
}

export function createSessionTotals(): SessionTotals {
  return {
    uploaded: 0,
    downloaded: 0,
    baseUp: 0,
    baseDown: 0,
    rawUp: 0,
    rawDown: 0,
    creditUp: 0,
    creditDown: 0,
    idleUp: 0,
    left: 0,
    finalUp: 0,
    finalDown: 0,
    seen: 0,
    first: 0,
    restarted: 0,
    seeding: 0,
    completed: 0,
    run: 0,
    state: 0,
    aheadUp: 0,
    aheadDown: 0,
  }
}

/** Bits of SessionTotals.state that the rules of joining need; see SessionState. */
export const STOPPED = 1
export const GREW_TOO_FAST = 8
export const BEGAN = 32

/** Seconds of silence after which lower counts mean that the client was restarted. */
export const RESTART_SECONDS = 60

/** Credited bytes per reported byte where no earlier credit of the session shows it. */
export type Ratios = { up: number; down: number }

/**
 * Joins what two nodes know of one session; `own` is changed. Bytes that only both together show
 * are credited as the others of the session were, or by `ratios` where there are none.
 */
export function joinSessions(own: SessionTotals, other: SessionTotals, ratios: Ratios): void {
  const otherRun = runOf(other, own)
  const ownRun = runOf(own, other)
  const isOlder = otherRun < ownRun
  const isNewer = otherRun > ownRun
  const up = joinCounts(own, other, UP, isOlder, isNewer)
  const down = joinCounts(own, other, DOWN, isOlder, isNewer)
  own.creditUp = joinCredit(up, own.creditUp, other.creditUp, ratios.up)
  own.creditDown = joinCredit(down, own.creditDown, other.creditDown, ratios.down)
  joinRuns(own, other, isOlder, isNewer)
  own.run = Math.max(ownRun, otherRun)
  own.idleUp = Math.max(own.idleUp, other.idleUp)
  own.seeding = Math.max(own.seeding, other.seeding)
  own.completed = Math.max(own.completed, other.completed)
  joinLast(own, other)
  own.first = Math.min(own.first, other.first)
  own.seen = Math.max(own.seen, other.seen)
}

/**
 * Number of the current run of `session` in the numbering of both. A node that did not know the
 * earlier runs has begun to count them anew.
 */
function runOf(session: SessionTotals, other: SessionTotals): number {
  const { restarted } = session
  const isLater = session.run < other.run && restarted >= other.restarted
  const run = isLater ? other.run : session.run
  const hasBegun = (session.state & BEGAN) !== 0 || (other.state & STOPPED) !== 0
  const isLower = session.baseUp < other.uploaded || session.baseDown < other.downloaded
  const isRestart =
    run === other.run && isLower && hasBegun && restarted >= other.seen + RESTART_SECONDS
  return isRestart ? run + 1 : run
}

const UP = { high: 'uploaded', base: 'baseUp', raw: 'rawUp' } as const
const DOWN = { high: 'downloaded', base: 'baseDown', raw: 'rawDown' } as const

/** Growth that both had, before and after they were joined. */
type Joined = { own: number; other: number; raw: number }

function joinCounts(
  own: SessionTotals,
  other: SessionTotals,
  names: typeof UP | typeof DOWN,
  isOlder: boolean,
  isNewer: boolean,
): Joined {
  const { base, high, raw } = names
  const before = own[raw]
  const ownEarlier = own[raw] - (own[high] - own[base])
  const otherEarlier = other[raw] - (other[high] - other[base])
  let earlier = Math.max(ownEarlier, otherEarlier)
  if (isOlder) earlier = Math.max(ownEarlier, other[raw])
  else if (isNewer) {
    earlier = Math.max(own[raw], otherEarlier)
    own[high] = other[high]
    own[base] = other[base]
  } else {
    own[high] = Math.max(own[high], other[high])
    own[base] = Math.min(own[base], other[base])
  }
  own[raw] = earlier + own[high] - own[base]
  return { own: before, other: other[raw], raw: own[raw] }
}

function joinCredit({ own, other, raw }: Joined, ofOwn: number, ofOther: number, ratio: number) {
  const most = Math.max(own, other)
  const credit = Math.max(ofOwn, ofOther)
  if (raw <= most) return credit
  const known = own >= other ? ofOwn : ofOther
  return credit + Math.floor((raw - most) * (most > 0 ? known / most : ratio))
}

function joinRuns(
  own: SessionTotals,
  other: SessionTotals,
  isOlder: boolean,
  isNewer: boolean,
): void {
  const began = (isOlder ? 0 : other.state & BEGAN) | (isNewer ? 0 : own.state & BEGAN)
  own.state = (own.state & ~BEGAN) | began
  if (isOlder) return
  if (isNewer) {
    own.finalUp = other.finalUp
    own.finalDown = other.finalDown
    own.restarted = other.restarted
    return
  }
  own.finalUp = Math.max(own.finalUp, other.finalUp)
  own.finalDown = Math.max(own.finalDown, other.finalDown)
  own.restarted = Math.min(own.restarted, other.restarted)
}

/** Takes the state of the last announce; within one second, of both. */
function joinLast(own: SessionTotals, other: SessionTotals): void {
  const kept = (own.state & BEGAN) | ((own.state | other.state) & GREW_TOO_FAST)
  if (other.seen > own.seen) {
    own.state = other.state & ~BEGAN
    own.left = other.left
    own.aheadUp = other.aheadUp
    own.aheadDown = other.aheadDown
  } else if (other.seen === own.seen) {
    own.state |= other.state & ~BEGAN
    own.left = Math.min(own.left, other.left)
    own.aheadUp = Math.max(own.aheadUp, other.aheadUp)
    own.aheadDown = Math.max(own.aheadDown, other.aheadDown)
  }
  own.state |= kept
}

/** Whether `other` adds nothing to `own`. */
export function isSameSession(own: SessionTotals, other: SessionTotals): boolean {
  return FIELDS.every(([name]) => own[name] === other[name])
}

/**
 * A session in a message. Little-endian, in this order: numbers of 64 bits, of 32 bits and of
 * 16 bits, then two floats of 32 bits.
 */
const FIELDS: readonly (readonly [
  name: keyof SessionTotals,
  kind: 'f64' | 'u32' | 'u16' | 'f32',
])[] = [
  ['uploaded', 'f64'],
  ['downloaded', 'f64'],
  ['baseUp', 'f64'],
  ['baseDown', 'f64'],
  ['rawUp', 'f64'],
  ['rawDown', 'f64'],
  ['creditUp', 'f64'],
  ['creditDown', 'f64'],
  ['idleUp', 'f64'],
  ['left', 'f64'],
  ['finalUp', 'f64'],
  ['finalDown', 'f64'],
  ['seen', 'u32'],
  ['first', 'u32'],
  ['restarted', 'u32'],
  ['seeding', 'u32'],
  ['completed', 'u32'],
  ['run', 'u16'],
  ['state', 'u16'],
  ['aheadUp', 'f32'],
  ['aheadDown', 'f32'],
]

type Kind = {
  readonly bytes: number
  write(view: DataView, at: number, value: number): void
  read(view: DataView, at: number): number
}

const KINDS: Readonly<Record<(typeof FIELDS)[number][1], Kind>> = {
  f64: {
    bytes: 8,
    write: (view, at, value) => view.setFloat64(at, value, true),
    read: (view, at) => view.getFloat64(at, true),
  },
  u32: {
    bytes: 4,
    write: (view, at, value) => view.setUint32(at, value, true),
    read: (view, at) => view.getUint32(at, true),
  },
  u16: {
    bytes: 2,
    write: (view, at, value) => view.setUint16(at, value, true),
    read: (view, at) => view.getUint16(at, true),
  },
  f32: {
    bytes: 4,
    write: (view, at, value) => view.setFloat32(at, value, true),
    read: (view, at) => view.getFloat32(at, true),
  },
}

export const SESSION_TOTALS_BYTES = FIELDS.reduce((sum, [, kind]) => sum + KINDS[kind].bytes, 0)

export function writeSessionTotals(view: DataView, at: number, totals: SessionTotals): void {
  let next = at
  for (const [name, kind] of FIELDS) {
    KINDS[kind].write(view, next, totals[name])
    next += KINDS[kind].bytes
  }
}

/** Reads a session of another node. Returns false if its numbers cannot be right. */
export function readSessionTotals(view: DataView, at: number, totals: SessionTotals): boolean {
  let next = at
  for (const [name, kind] of FIELDS) {
    const value = KINDS[kind].read(view, next)
    if (kind === 'f64' && (!Number.isSafeInteger(value) || value < 0)) return false
    if (!(value >= 0 && value <= Number.MAX_SAFE_INTEGER)) return false
    totals[name] = value
    next += KINDS[kind].bytes
  }
  return (
    totals.baseUp <= totals.uploaded &&
    totals.baseDown <= totals.downloaded &&
    totals.rawUp >= totals.uploaded - totals.baseUp &&
    totals.rawDown >= totals.downloaded - totals.baseDown
  )
}
