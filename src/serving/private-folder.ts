import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { unavailableError } from '../errors.ts'

/** A Unix socket's path is 107 bytes at most, and libuv cuts off the rest without a word: what comes below `base` is in the bound. */
const BASE_BYTES_MAX = 107 - '/muster-XXXXXX/relay-65535.sock'.length

/**
 * Makes a folder that only this user can look into, for the sockets of the links: below systemd's RUNTIME_DIRECTORY or the folder for
 * temporary files. The name is new each time, so that what a killed tracker left behind is in nobody's way.
 */
export function createPrivateFolder(
  environment: Readonly<Record<string, string | undefined>>,
): string {
  // systemd lists several with colons between.
  const runtime = environment['RUNTIME_DIRECTORY']?.split(':')[0]
  const base = runtime || tmpdir()
  const variable = runtime ? 'RUNTIME_DIRECTORY' : 'TMPDIR'
  if (Buffer.byteLength(base) > BASE_BYTES_MAX) {
    throw unavailableError(
      `cannot make sockets below ${base}: its path is longer than ${BASE_BYTES_MAX} bytes. Set ${variable} to a shorter one.`,
    )
  }
  try {
    return mkdtempSync(join(base, 'muster-'))
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    throw unavailableError(
      `cannot make a folder below ${base}: ${code}. Set ${variable} to a folder that muster can write to.`,
    )
  }
}

/** Unix socket in it of the worker process with a number, for the other workers. */
export function relayPathIn(folder: string): (process: number) => string {
  return process => join(folder, `relay-${process}.sock`)
}

export function removePrivateFolder(folder: string): void {
  rmSync(folder, { recursive: true, force: true })
}
