import { LinkCounter } from '../../src/counters/link.ts'
import { createRandom, randomBelow } from '../../src/engine/tables/random.ts'
import type { Link } from '../../src/link/link.ts'
import { allocate } from '../../src/protocol/bytes.ts'
import { ANNOUNCE_BYTES } from '../../src/protocol/records.ts'
import { writeMember } from '../micro/clients.ts'
import { createLatencies, type Latencies } from './latencies.ts'

/** Announces sent over a link, and what became of them. */
export type LinkReport = {
  readonly records: number
  readonly failed: number
  readonly frames: number
  readonly seconds: number
  readonly latencies: Latencies
}

export type LinkLoad = {
  readonly torrents: number
  readonly peers: number
  readonly seed: number
}

function framesOf({ counters }: Link): number {
  return counters[LinkCounter.frames] as number
}

function createSender(link: Link, load: LinkLoad, settled: () => void) {
  const random = createRandom(load.seed)
  const request = allocate(ANNOUNCE_BYTES)
  const framesBefore = framesOf(link)
  const latencies = createLatencies()
  const begun = performance.now()
  let records = 0
  let failed = 0
  return {
    send(): void {
      const at = link.reserve(ANNOUNCE_BYTES)
      if (at === -1) {
        failed++
        settled()
        return
      }
      const sentAt = performance.now()
      writeMember(request, randomBelow(random, load.peers), load.torrents)
      link.open.u8.set(request.u8, at)
      link.submit(at, ANNOUNCE_BYTES, {
        reply() {
          latencies.add(performance.now() - sentAt)
          records++
          settled()
        },
        fail() {
          failed++
          settled()
        },
      })
    },
    report: (): LinkReport => ({
      records,
      failed,
      frames: framesOf(link) - framesBefore,
      seconds: (performance.now() - begun) / 1000,
      latencies,
    }),
  }
}

/** Sends `burst` announces, waits for all replies, and again, for `seconds`. */
export function burstLink(
  link: Link,
  load: LinkLoad,
  burst: number,
  seconds: number,
): Promise<LinkReport> {
  return new Promise(resolve => {
    const end = performance.now() + seconds * 1000
    let waiting = 0
    const sender = createSender(link, load, () => {
      if (--waiting > 0) return
      if (performance.now() < end) setImmediate(sendBurst)
      else resolve(sender.report())
    })
    function sendBurst(): void {
      waiting = burst
      for (let n = 0; n < burst; n++) sender.send()
    }
    sendBurst()
  })
}

/**
 * Sends announces at `rate` a second, a few each millisecond, whether or not replies come, until
 * `done` has resolved.
 */
export async function paceLink(
  link: Link,
  load: LinkLoad,
  rate: number,
  done: Promise<unknown>,
): Promise<LinkReport> {
  let isDone = false
  let waiting = 0
  const sender = createSender(link, load, () => waiting--)
  const finished = done.finally(() => {
    isDone = true
  })
  const begun = performance.now()
  for (let sent = 0; !isDone; ) {
    const due = ((performance.now() - begun) / 1000) * rate
    for (; sent < due; sent++) {
      waiting++
      sender.send()
    }
    await new Promise(resolve => setTimeout(resolve, 1))
  }
  await finished
  while (waiting > 0) await new Promise(resolve => setTimeout(resolve, 1))
  return sender.report()
}
