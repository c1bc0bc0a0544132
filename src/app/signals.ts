import { ExitStatus } from '../errors.ts'
import type { Parts } from '../lifecycle.ts'
import type { Logger } from '../log.ts'

/** A snapshot of millions of peers and the last write to the database take time. */
const STOP_MILLIS_MAX = 60_000

/**
 * On SIGTERM or SIGINT, stops the parts, logs `summary` and exits, with 0 if nothing was lost. A
 * second signal, a stop that takes too long or an uncaught error ends the process at once. SIGHUP
 * calls `reload`.
 */
export function obeySignals(
  log: Logger,
  parts: Parts,
  summary: () => object,
  reload: () => void,
): void {
  let stopping = false
  const fail = (fields: object, message: string) => {
    log.fatal(fields, message)
    parts.kill()
    process.exit(ExitStatus.software)
  }
  const stop = async (signal: string) => {
    log.info({ signal }, 'stopping')
    setTimeout(
      () => fail({ limit_ms: STOP_MILLIS_MAX }, 'stopping took too long'),
      STOP_MILLIS_MAX,
    ).unref()
    const status = await parts.stop()
    log.info({ ...summary(), exit_status: status }, 'stopped')
    process.exit(status)
  }
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => {
      if (stopping) return fail({ signal }, 'second signal: exiting at once')
      stopping = true
      stop(signal).catch((error: unknown) => fail({ err: error }, 'stopping failed'))
    })
  }
  process.on('SIGHUP', reload)
  process.on('uncaughtException', error => fail({ err: error }, 'primary process failed'))
}
