import { mkdirSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import type { Config } from '../config/config.ts'
import { parseDatabasePath } from '../config/database-path.ts'
import { unavailableError } from '../errors.ts'
import type { Part } from '../lifecycle.ts'
import { type FileLock, lockFile } from '../native/file-lock.ts'

const LOCK_NAME = 'muster.lock'

/**
 * Locks the folders of the database file and the snapshot: two trackers on one folder would
 * overwrite each other's counters and swarms. Throws an OperatorError if another tracker has one.
 */
export function lockDataFolders(config: Config): Part {
  const locks: FileLock[] = []
  const release = () => {
    for (const lock of locks) lock.release()
  }
  try {
    for (const [folder, key] of dataFolders(config)) locks.push(lockFolder(folder, key))
  } catch (error) {
    release()
    throw error
  }
  return { stop: async () => release() }
}

/** The folders that hold data, each with the key of the configuration that names it. */
function dataFolders({ database, snapshot }: Config): Map<string, string> {
  const folders = new Map<string, string>()
  if (snapshot.enabled) folders.set(dirname(resolve(snapshot.path)), 'snapshot.path')
  const path = database.persistent ? parseDatabasePath(database.path) : undefined
  if (path?.engine === 'sqlite3') folders.set(dirname(resolve(path.file)), 'database.path')
  return folders
}

function lockFolder(folder: string, key: string): FileLock {
  const file = join(folder, LOCK_NAME)
  let lock: ReturnType<typeof lockFile>
  try {
    mkdirSync(folder, { recursive: true, mode: 0o750 })
    lock = lockFile(file)
  } catch (error) {
    throw unavailableError(`${key}: cannot lock ${file}: ${(error as Error).message}`)
  }
  if ('release' in lock) return lock
  const process = lock.holder ? ` (process ${lock.holder})` : ''
  throw unavailableError(
    `${key}: another muster uses the folder ${folder}${process}. Stop it, or set ${key} to a file in another folder.`,
  )
}
