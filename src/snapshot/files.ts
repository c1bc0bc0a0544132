import { randomBytes } from 'node:crypto'
import { open, readdir, rename, rm } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'

/** The snapshot before the last one. */
export function previousFile(file: string): string {
  return `${file}.previous`
}

/** Where a damaged snapshot is put aside, so that the next one does not push out a previous one that is whole. */
export function damagedFile(file: string): string {
  return `${file}.damaged`
}

/** A name beside the snapshot, new each time. */
export function temporaryFile(file: string): string {
  return `${file}.${process.pid}-${randomBytes(4).toString('hex')}.tmp`
}

/** Removes what killed writers left behind. */
export async function removeLeftovers(file: string): Promise<void> {
  const prefix = `${basename(file)}.`
  for (const name of await readdir(dirname(file))) {
    if (name.startsWith(prefix) && /^\d+-[0-9a-f]{8}\.tmp$/.test(name.slice(prefix.length))) {
      await rm(join(dirname(file), name), { force: true })
    }
  }
}

/** Renames, and returns false when there is nothing of the old name. */
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
 * Puts a finished snapshot in the place of `file`, which becomes the previous one. Killed in between, it leaves the previous one and no
 * `file`; failing, it leaves both as they were.
 */
export async function replaceFile(temporary: string, file: string): Promise<void> {
  const kept = await renameIfThere(file, previousFile(file))
  try {
    await rename(temporary, file)
  } catch (error) {
    if (kept) await rename(previousFile(file), file)
    throw error
  }
  await syncFolder(dirname(file))
}

/** Renames last through a power cut only once their folder is on the disk. */
async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}
