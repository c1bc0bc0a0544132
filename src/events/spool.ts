import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'

/**
 * The file in which the lines for one receiver wait while the tracker is stopped. It is removed
 * when they have arrived, so that a crash before loses none of them.
 */
export class Spool {
  readonly path: string
  /** Lines of the file that have not arrived. */
  #left = 0

  constructor(prefix: string, receiver: string) {
    this.path = `${prefix}.${receiver}.ndjson`
  }

  /** The lines of the file. */
  read(): string[] {
    if (!existsSync(this.path)) return []
    const lines = readFileSync(this.path, 'utf8').split('\n')
    // A line that was not written to its end is not JSON.
    const complete = lines.filter(isJson)
    this.#left = complete.length
    return complete
  }

  /** Removes the file once `count`, the lines sent since the start, includes all of its lines. */
  sent(count: number): void {
    if (this.#left === 0 || count < this.#left) return
    this.#left = 0
    rmSync(this.path, { force: true })
  }

  /** Replaces the file. Only its owner can read it: addresses of clients are in it. */
  write(lines: readonly string[]): void {
    this.#left = 0
    if (lines.length === 0) {
      rmSync(this.path, { force: true })
      return
    }
    mkdirSync(dirname(this.path), { recursive: true, mode: 0o750 })
    const beside = `${this.path}.part`
    writeFileSync(beside, `${lines.join('\n')}\n`, { mode: 0o600, flush: true })
    renameSync(beside, this.path)
  }
}

function isJson(line: string): boolean {
  if (line === '') return false
  try {
    JSON.parse(line)
    return true
  } catch {
    return false
  }
}
