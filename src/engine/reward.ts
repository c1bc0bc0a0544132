import type { Announce } from './current-announce.ts'
import type { Engine } from './engine.ts'
import { findFactors, timesFactor } from './factors.ts'
import type { Growth } from './growth.ts'
import {
  SESSION_AHEAD_DOWN,
  SESSION_AHEAD_UP,
  SESSION_NEW_CREDIT_DOWN,
  SESSION_NEW_CREDIT_UP,
  SESSION_STATE,
  SessionState,
} from './session-layout.ts'
import { countTooFast } from './sessions.ts'
import { UserFlag } from './user-records.ts'

/** Computes the credit of the growth: first the maximum rate, then the factors. */
export function reward(engine: Engine, announce: Announce, session: number, growth: Growth): void {
  const { accounting } = engine.settings
  const { access, sessions } = engine
  const { credit, factors, inForce, user, users } = access
  const { up, down, silence } = growth
  const plausibleUp = withinRate(engine, session + SESSION_AHEAD_UP, up, silence)
  const plausibleDown = withinRate(engine, session + SESSION_AHEAD_DOWN, down, silence)
  const suspicious = accounting.suspiciousRate * Math.max(1, silence)
  const isSuspicious = suspicious > 0 && (up > suspicious || down > suspicious)
  if (isSuspicious || plausibleUp < up || plausibleDown < down) {
    credit.flags |= UserFlag.grewTooFast
    countTooFast(sessions)
    sessions.u32[(session + SESSION_STATE) >> 2]! |= SessionState.grewTooFast
  }
  findFactors(factors, users, user, announce, inForce)
  const isLeftOut = growth.isIdle && !accounting.creditIdleUpload
  credit.uploaded = isLeftOut ? 0 : timesFactor(plausibleUp, inForce.upload)
  credit.downloaded = timesFactor(plausibleDown, inForce.download)
  sessions.f64[(session + SESSION_NEW_CREDIT_UP) >> 3]! += credit.uploaded
  sessions.f64[(session + SESSION_NEW_CREDIT_DOWN) >> 3]! += credit.downloaded
}

/**
 * The part of the growth that the maximum rate allows. `aheadAt` is the offset of how many bytes
 * the session is ahead of the rate.
 */
function withinRate(engine: Engine, aheadAt: number, growth: number, silence: number): number {
  const { maxRate, maxRateBurst } = engine.settings.accounting
  if (maxRate === 0) return growth
  const { f32 } = engine.sessions
  const ahead = f32[aheadAt >> 2]! - maxRate * silence
  const allowed = Math.min(growth, Math.max(0, Math.floor(maxRate * maxRateBurst - ahead)))
  f32[aheadAt >> 2] = Math.max(0, ahead + allowed)
  return allowed
}
