import { type FailureAnswers, failureAnswers } from '../protocol/failures.ts'
import type { Config } from './config.ts'

/** The configured answers to refused requests. */
export function failuresOf({ failures, tracker_config: tracker }: Config): FailureAnswers {
  return failureAnswers({
    torrustActix: tracker.failure_texts === 'torrust-actix',
    shortInterval: failures.short_interval,
    longInterval: failures.long_interval,
    texts: failures.texts,
    intervals: failures.intervals,
  })
}
