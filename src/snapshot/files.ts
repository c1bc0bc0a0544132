import { randomBytes } from 'node:crypto'
import { open, readdir, rename, rm } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'

/** The snapshot before the last one. */
export function previousFile(file: string): string {
  return `${file}.previous`
}

/**
 * Path for a damaged snapshot, so that the next snapshot does not replace an intact previous one.
 */
export function damagedFile(file: string): string {
  return `${file}.damaged`
}

/** Returns a unique path beside the snapshot. */
export function temporaryFile(file: string): string {
  return `${file}.${process.pid}-${randomBytes(4).toString('hex')}.tmp`
}

/** Removes temporary files of killed writers. */
export async function removeLeftovers(file: string): Promise<void> {
  const prefix = `${basename(file)}.`
  for (const name of await readdir(dirname(file))) {
    if (name.startsWith(prefix) && /^\d+-[0-9a-f]{8}\.tmp$/.test(name.slice(prefix.length))) {
      await rm(join(dirname(file), name), { force: true })
    }
  }
}

/** Renames a file. Returns false if it does not exist. */
export async function renameIfThere(from: string, to: string): Promise<boolean> {
  try {
    await rename(from, to)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false
    throw error
  }
}

/**
 * Replaces `file` with a finished snapshot, and renames `file` to the previous one. A crash in
 * between leaves only the previous one. A failure leaves both unchanged.
 */
export async function replaceFile(temporary: string, file: string): Promise<void> {
  const renamed = await renameIfThere(file, previousFile(file))
  try {
    await rename(temporary, file)
  } catch (error) {
    if (renamed) await rename(previousFile(file), file)
    throw error
  }
  await syncFolder(dirname(file))
}

/** Syncs the folder: a rename survives a power failure only after that. */
async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}
