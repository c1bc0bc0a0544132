import { existsSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { unavailableError } from '../errors.ts'
import { lockFile } from '../native/file-lock.ts'

const PREFIX = 'muster-'
/** Locked while the owner of the folder runs. */
const LOCK_NAME = 'lock'
/** A younger folder may belong to a process that is about to lock it. */
const LEFTOVER_MILLIS_MIN = 60_000

/** libuv cuts off a Unix socket's path after 107 bytes without an error: this bounds the base. */
const BASE_BYTES_MAX = 107 - '/muster-XXXXXX/relay-65535.sock'.length

/**
 * Creates a folder that only this user can read, for the sockets of the links: below systemd's
 * RUNTIME_DIRECTORY or the folder for temporary files. The name is new each time. Folders of
 * trackers that were killed are removed.
 */
export function createPrivateFolder(
  environment: Readonly<Record<string, string | undefined>>,
): string {
  // systemd separates several folders by colons.
  const runtime = environment['RUNTIME_DIRECTORY']?.split(':')[0]
  const base = runtime || tmpdir()
  const variable = runtime ? 'RUNTIME_DIRECTORY' : 'TMPDIR'
  if (Buffer.byteLength(base) > BASE_BYTES_MAX) {
    throw unavailableError(
      `cannot create sockets below ${base}: its path is longer than ${BASE_BYTES_MAX} bytes. Set ${variable} to a shorter one.`,
    )
  }
  removeLeftovers(base)
  try {
    const folder = mkdtempSync(join(base, PREFIX))
    lockFile(join(folder, LOCK_NAME))
    return folder
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    throw unavailableError(
      `cannot create a folder below ${base}: ${code}. Set ${variable} to a folder that muster can write to.`,
    )
  }
}

/** Removes the folders of this user whose owner ended without removing them. */
function removeLeftovers(base: string): void {
  try {
    const names = readdirSync(base).filter(name => name.startsWith(PREFIX))
    for (const folder of names.map(name => join(base, name))) {
      if (isLeftover(folder)) removePrivateFolder(folder)
    }
  } catch {
    // A base that cannot be used is reported when the folder is created.
  }
}

function isLeftover(folder: string): boolean {
  const lock = join(folder, LOCK_NAME)
  try {
    const { mtimeMs, uid } = statSync(folder)
    if (uid !== process.getuid?.() || Date.now() - mtimeMs < LEFTOVER_MILLIS_MIN) return false
    if (!existsSync(lock)) return false
    const locked = lockFile(lock)
    if ('holder' in locked) return false
    locked.release()
    return locked.isLocked
  } catch {
    return false
  }
}

export function removePrivateFolder(folder: string): void {
  try {
    rmSync(folder, { recursive: true, force: true })
  } catch {
    // A process without free file descriptors ends with its own error. The next start removes it.
  }
}
