import { rmSync } from 'node:fs'
import { open, realpath, rename, stat } from 'node:fs/promises'
import { ExitStatus, OperatorError } from '../errors.ts'

/**
 * Writes a file that only its owner can read. It appears under its name when it is complete. A
 * symbolic link stays one, and its target is written. A device or a named pipe is written to
 * directly, because a file must not replace it. Rejects with an OperatorError if the file cannot be
 * written, and with the error of `content` if that fails.
 */
export async function writeFileWhole(file: string, content: AsyncIterable<string>): Promise<void> {
  const existing = await onFile(file, stat(file).catch(ignoreMissing))
  const isReplaced = existing === undefined || existing.isFile()
  const target = existing && isReplaced ? await onFile(file, realpath(file)) : file
  const path = isReplaced ? `${target}.${process.pid}.part` : target
  try {
    await write(file, path, content, isReplaced)
    if (isReplaced) await onFile(file, rename(path, target))
  } catch (error) {
    if (isReplaced) rmSync(path, { force: true })
    throw error
  }
}

async function write(
  file: string,
  path: string,
  content: AsyncIterable<string>,
  isFlushed: boolean,
): Promise<void> {
  const handle = await onFile(file, open(path, 'w', 0o600))
  try {
    for await (const text of content) await onFile(file, handle.appendFile(text))
    if (isFlushed) await onFile(file, handle.sync())
  } finally {
    await handle.close()
  }
}

function ignoreMissing(error: NodeJS.ErrnoException): undefined {
  if (error.code !== 'ENOENT') throw error
}

/** The result of a system call on the file. A failure becomes a message for the operator. */
async function onFile<T>(file: string, result: Promise<T>): Promise<T> {
  try {
    return await result
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    throw new OperatorError(`${file}: cannot write the export: ${code}`, ExitStatus.unavailable)
  }
}
