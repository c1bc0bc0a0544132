import type { Admin } from '../admin/admin.ts'
import type { Config } from '../config/config.ts'
import type { ErrorSink, Logger } from '../log.ts'
import { musterVersion } from '../version.ts'
import { Exporter } from './exporter.ts'

/** Starts the export of the configuration; undefined if there is none. */
export function startTelemetry(
  { endpoint, headers, service_name: serviceName }: Config['telemetry'],
  log: Logger,
): Exporter | undefined {
  if (endpoint === '') return undefined
  return new Exporter({
    endpoint,
    headers,
    serviceName,
    version: musterVersion(),
    onChange(isReachable, reason) {
      if (isReachable) log.info('the telemetry collector is reachable again')
      else
        log.warn({ reason }, 'cannot export telemetry; it is dropped until the collector answers')
    },
  })
}

/** Calls of these methods are frequent and carry no information. */
const NOT_TRACED = new Set(['ready', 'overview', 'stats', 'metrics', 'signalRtc'])

/** An Admin whose calls are spans. */
export function traceAdmin(admin: Admin, exporter: Exporter | undefined): Admin {
  if (!exporter) return admin
  const traced = Object.entries(admin).map(([name, method]) => {
    const call = method as (...args: unknown[]) => Promise<unknown>
    if (NOT_TRACED.has(name)) return [name, call]
    return [
      name,
      (...args: unknown[]) => {
        const first = args.find(Array.isArray)
        const attributes = first ? { 'muster.entries': first.length } : {}
        return exporter.trace(`admin ${name}`, attributes, () => call(...args))
      },
    ]
  })
  return Object.fromEntries(traced) as Admin
}

/** Exports each error that the processes log. */
export function errorSink(exporter: Exporter): ErrorSink {
  return (message, error, processName) => {
    exporter.error(message, {
      'muster.process': processName,
      ...(error && {
        'exception.type': error.name,
        'exception.message': error.message,
        'exception.stacktrace': error.stack ?? '',
      }),
    })
  }
}
