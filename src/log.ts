import { createRequire } from 'node:module'
import { type Logger, pino } from 'pino'
import type { PrettyOptions, prettyFactory } from 'pino-pretty'

/** The section `[log]` of the configuration. It can be cloned. */
export type LogSettings = {
  readonly level: 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal' | 'silent' | 'off'
  readonly format: 'auto' | 'json' | 'pretty'
}

/** The members of an Error that processes pass to each other. */
export type LoggedError = {
  readonly name: string
  readonly message: string
  readonly stack?: string | undefined
}

/** Receives every error that is logged. `processName` is `primary`, or such as `worker-2`. */
export type ErrorSink = (
  message: string,
  error: LoggedError | undefined,
  processName: string,
) => void

const STANDARD_OUTPUT = 1
const ERROR_LEVEL = 50
/** Bytes that wait for a disk that is full. Lines beyond them are dropped. */
const UNWRITTEN_MAX = 1_048_576

let errorSink: ErrorSink | undefined

/** Passes the errors that this process logs to `sink`, besides the log. */
export function setErrorSink(sink: ErrorSink | undefined): void {
  errorSink = sink
}

/** Passes an error to the sink that another process has logged. */
export const passError: ErrorSink = (message, error, processName) =>
  errorSink?.(message, error, processName)

/**
 * A log on standard output: JSON lines, or readable text with `format = "pretty"` and, with
 * `"auto"`, on a terminal. A line is written before the call returns, so that the last lines of a
 * process are not lost. Lines that cannot be written do not fail the caller.
 *
 * Every line has the fields `process`, such as `primary` or `worker-2`, and `pid`. The primary
 * overrides them where it logs the start or the end of a worker. Names of fields are in snake_case
 * with their unit (`_ms`, `_s`, `_bytes`). Untrusted data is logged as hex digits or lengths, never
 * as text.
 */
export function createLog({ format, level }: LogSettings, processName: string): Logger {
  const output = pino.destination({ fd: STANDARD_OUTPUT, sync: true, maxLength: UNWRITTEN_MAX })
  // A full disk must not stop the tracker. Each further line is an attempt to write the rest.
  output.on('error', () => {})
  const isPretty = format === 'pretty' || (format === 'auto' && process.stdout.isTTY === true)
  return pino(
    {
      level: pinoLevel(level),
      base: null,
      hooks: {
        logMethod(args, method, level) {
          if (level >= ERROR_LEVEL) {
            errorSink?.(String(args.at(-1)), errorOf(args[0]), processName)
          }
          method.apply(this, args)
        },
      },
      // Not `base`: a field that a call overrides would be in the line twice.
      mixin: () => ({ process: processName, pid: process.pid }),
      mixinMergeStrategy: (fields, own) => ({ ...own, ...fields }),
    },
    isPretty ? prettyOutput(output) : output,
  )
}

/** The error among the fields of a log line. */
function errorOf(fields: unknown): Error | undefined {
  const error = fields instanceof Object && 'err' in fields ? fields.err : undefined
  return error instanceof Error ? error : undefined
}

/** The level under pino's name: `off` is `silent` there. */
export function pinoLevel(level: LogSettings['level']): string {
  return level === 'off' ? 'silent' : level
}

type Output = { write(line: string): unknown }

/**
 * Formats each line before it is written. pino-pretty is loaded only here: most trackers log JSON.
 */
function prettyOutput(output: Output): Output {
  const { prettyFactory: createFormatter } = createRequire(import.meta.url)('pino-pretty') as {
    prettyFactory: typeof prettyFactory
  }
  const options: PrettyOptions = {
    colorize: process.stdout.isTTY === true && process.env['NO_COLOR'] === undefined,
    translateTime: 'SYS:yyyy-mm-dd HH:MM:ss.l',
    ignore: 'process,pid',
    messageFormat: '{process}[{pid}] {msg}',
  }
  const format = createFormatter(options)
  return { write: line => output.write(format(line)) }
}

export type { Logger }
