import { type Logger, pino } from 'pino'
import type { LogConfig } from './config/config.ts'

/**
 * JSON lines on standard output, written before the call returns, so that the last words of a process are not lost. `room` is the part of the
 * program that speaks. Data of strangers goes in as hex or lengths, never as text.
 */
export function createLog(level: LogConfig['level'], room: string): Logger {
  return pino({ level, base: { room } }, pino.destination({ fd: 1, sync: true }))
}

export type { Logger }
