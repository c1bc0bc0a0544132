import { readFileSync } from 'node:fs'
import { unavailableError } from '../errors.ts'

/** Files that the program opens at once while it loads, and for its threads and sockets. */
const OPEN_FILES_MIN = 320

/** Throws an OperatorError if this process may open too few files to start. */
export function requireOpenFiles(): void {
  const max = readOpenFilesMax()
  if (max === undefined || max >= OPEN_FILES_MIN) return
  throw unavailableError(
    `the process may open only ${max} files, and muster needs at least ${OPEN_FILES_MIN}. Raise the limit with "ulimit -n", or LimitNOFILE= in a unit of systemd.`,
  )
}

/** The maximum number of open files of this process; undefined without procfs. */
function readOpenFilesMax(): number | undefined {
  try {
    const limits = readFileSync('/proc/self/limits', 'latin1')
    const max = Number(/^Max open files +(\d+)/m.exec(limits)?.[1])
    return Number.isNaN(max) ? undefined : max
  } catch {
    return undefined
  }
}
