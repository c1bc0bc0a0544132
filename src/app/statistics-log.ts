import type { Stats } from '../admin/admin.ts'
import type { Logger } from '../log.ts'

/** Fields of the line, as in the `[STATS]` line of Torrust-Actix. */
const FIELDS = [
  'torrents',
  'torrents_updates',
  'seeds',
  'peers',
  'completed',
  'whitelist',
  'blacklist',
  'keys',
  'users',
] as const

/** Logs the counts of the tracker periodically. */
export class StatisticsLog {
  readonly #stats: () => Stats
  readonly #log: Logger
  #timer: NodeJS.Timeout | undefined

  constructor(stats: () => Stats, log: Logger) {
    this.#stats = stats
    this.#log = log
  }

  /** Seconds between lines. 0 stops them. */
  setInterval(seconds: number): void {
    clearInterval(this.#timer)
    this.#timer = seconds > 0 ? setInterval(() => this.#write(), seconds * 1000) : undefined
  }

  stop(): void {
    clearInterval(this.#timer)
  }

  #write(): void {
    const stats = this.#stats()
    this.#log.info(Object.fromEntries(FIELDS.map(name => [name, stats[name]])), 'statistics')
  }
}
