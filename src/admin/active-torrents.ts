import { setImmediate } from 'node:timers/promises'
import type { Engine } from '../engine/engine.ts'
import { eachUserPeer } from '../engine/inspect.ts'

/** Stripes that are scanned in one turn of the event loop. */
export const STRIPES_PER_TURN = 16

/** Collects the torrents in which these users, by number, have a peer, with its last announce. */
export async function collectTorrents(
  engine: Engine,
  users: ReadonlyMap<number, [hash: string, seen: number][]>,
): Promise<void> {
  const seen = new Map<string, [string, number]>()
  for (let stripe = 0; stripe < engine.stripeCount; stripe++) {
    seen.clear()
    eachUserPeer(engine, stripe, (hash, user, at) => {
      const torrents = users.get(user)
      if (!torrents) return
      const name = hash.toString('hex')
      const entry = seen.get(`${user} ${name}`)
      if (entry) entry[1] = Math.max(entry[1], at)
      else {
        const made: [string, number] = [name, at]
        seen.set(`${user} ${name}`, made)
        torrents.push(made)
      }
    })
    if (stripe % STRIPES_PER_TURN === 0) await setImmediate()
  }
}
