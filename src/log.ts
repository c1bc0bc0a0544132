import { type Logger, pino } from 'pino'
import type { LogConfig } from './config/config.ts'

/**
 * JSON lines on standard output, written before the call returns, so that the last words of a process are not lost. Data of strangers goes in as
 * hex or lengths, never as text.
 */
export function createLog(level: LogConfig['level']): Logger {
  return pino({ level, base: null }, pino.destination({ fd: 1, sync: true }))
}

export type { Logger }
