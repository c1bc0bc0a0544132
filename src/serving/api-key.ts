import { randomBytes } from 'node:crypto'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import type { TrackerConfig } from '../config/config.ts'
import { configError } from '../errors.ts'
import type { Logger } from '../log.ts'

const KEY_BYTES = 32

/**
 * The token of the admin API: the configured one, or the one in `api_key_file`, which is made at the first start and readable by its owner
 * alone. The log says where it is, never what. Throws an OperatorError when the file can be neither read nor made.
 */
export function findApiKey(config: TrackerConfig, log: Logger): string {
  if (config.api_key !== '') return config.api_key
  const file = resolve(config.api_key_file)
  try {
    return readKey(file) ?? makeKey(file, log)
  } catch (error) {
    throw configError([
      `tracker_config.api_key_file: ${JSON.stringify(config.api_key_file)} cannot be used: ${(error as Error).message}`,
    ])
  }
}

function readKey(file: string): string | undefined {
  try {
    const key = readFileSync(file, 'utf8').trim()
    if (key !== '') return key
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
  }
  return undefined
}

function makeKey(file: string, log: Logger): string {
  const key = randomBytes(KEY_BYTES).toString('base64url')
  mkdirSync(dirname(file), { recursive: true, mode: 0o750 })
  writeFileSync(file, `${key}\n`, { mode: 0o600 })
  log.info({ file }, 'created a token for the admin API')
  return key
}
