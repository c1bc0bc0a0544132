import type { Part } from '../lifecycle.ts'
import type { Logger } from '../log.ts'
import type { ServiceManager } from '../native/sd-notify.ts'
import { watchProgress } from '../progress.ts'

/** A thread of this process. The number of its rounds grows while it works. */
export type WatchedThread = { readonly name: string; rounds(): number }

export type WatchdogOptions = {
  readonly manager: ServiceManager
  readonly threads: readonly WatchedThread[]
  /** Returns the text that `systemctl status` shows. */
  readonly status: () => string
  readonly log: Logger
}

const POLL_MILLIS = 1000
/**
 * A thread makes a round at least every quarter of a second, unless it waits for a lock that is
 * never released.
 */
const STALL_MILLIS = 10_000
const STATUS_MILLIS = 5000

/**
 * Reports to systemd that the service is ready, and then pings its watchdog from this thread's
 * event loop, while every thread makes progress. A thread that does not is logged; without pings
 * systemd restarts the service.
 */
export function startWatchdog({ log, manager, status, threads }: WatchdogOptions): Part {
  const pollMillis = Math.min(POLL_MILLIS, (manager.watchdogMillis ?? Infinity) / 2)
  const pollsPerStatus = Math.ceil(STATUS_MILLIS / pollMillis)
  const watched = threads.map(({ name, rounds }) => ({
    name,
    ...watchProgress(rounds, Math.ceil(STALL_MILLIS / pollMillis)),
  }))
  const stalledNames = new Set<string>()
  let polls = 0

  function poll(): void {
    for (const { name, stalled } of watched) {
      const isStalled = stalled()
      if (isStalled === stalledNames.has(name)) continue
      if (isStalled) {
        stalledNames.add(name)
        log.error({ thread: name, stalled_ms: STALL_MILLIS }, 'thread makes no progress')
      } else {
        stalledNames.delete(name)
        log.warn({ thread: name }, 'thread makes progress again')
      }
    }
    if (stalledNames.size === 0) manager.alive()
    if (++polls % pollsPerStatus === 0) manager.status(status())
  }

  manager.ready(status())
  poll()
  const timer = setInterval(poll, pollMillis)
  return {
    isHealthy: () => stalledNames.size === 0,
    async stop() {
      clearInterval(timer)
      manager.stopping()
    },
  }
}
