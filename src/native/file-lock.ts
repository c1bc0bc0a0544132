import { closeSync, ftruncateSync, openSync, readFileSync, writeSync } from 'node:fs'
import { tryLibc } from './libc.ts'
import { LOCK_EX, LOCK_NB } from './linux.ts'

/** A locked file. The kernel unlocks it when the process ends, however that happens. */
export type FileLock = {
  /** False where system calls are not available, and nothing is locked. */
  readonly isLocked: boolean
  release(): void
}

/**
 * Locks `file` for this process and writes its process id into it. Returns the process id that the
 * file has, as text, where another process holds the lock. Where system calls are not available,
 * the file is created and nothing is locked. Throws the error of the file system.
 */
export function lockFile(file: string): FileLock | { readonly holder: string } {
  const fd = openSync(file, 'a+', 0o600)
  const result = tryLibc()?.flock(fd, LOCK_EX | LOCK_NB)
  if (result === -1) {
    const holder = readFileSync(fd, 'utf8').trim()
    closeSync(fd)
    return { holder }
  }
  try {
    ftruncateSync(fd)
    writeSync(fd, `${process.pid}\n`)
  } catch {
    // The lock holds on a full disk too; only the message of another tracker lacks the process id.
  }
  return { isLocked: result === 0, release: () => closeSync(fd) }
}
