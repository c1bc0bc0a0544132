import { randomBytes } from 'node:crypto'
import { chmodSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import type { TrackerConfig } from '../config/config.ts'
import { configError } from '../errors.ts'
import type { Logger } from '../log.ts'

const KEY_BYTES = 32
/** The same bound as for `api_key`. */
const KEY_CHARACTERS_MIN = 32
const KEY_MODE = 0o600

/**
 * Returns the token of the admin API: the configured one, or the one in `api_key_file`, which is
 * created at the first start and readable only by its owner. The log contains its path, never the
 * token. Throws an OperatorError if the file can be neither read nor created, or if its token is
 * too short.
 */
export function findApiKey(config: TrackerConfig, log: Logger): string {
  if (config.api_key !== '') return config.api_key
  const file = resolve(config.api_key_file)
  try {
    return readKey(file, log) ?? createKey(file, log)
  } catch (error) {
    throw configError([
      `tracker_config.api_key_file: ${JSON.stringify(config.api_key_file)} cannot be used: ${(error as Error).message}`,
    ])
  }
}

/** Returns undefined if the file is missing or empty. */
function readKey(file: string, log: Logger): string | undefined {
  let key: string
  try {
    key = readFileSync(file, 'utf8').trim()
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    return undefined
  }
  if (key === '') return undefined
  if (key.length < KEY_CHARACTERS_MIN) {
    throw new Error(`its token has fewer than ${KEY_CHARACTERS_MIN} characters`)
  }
  if ((statSync(file).mode & 0o007) !== 0) {
    log.warn({ file }, 'every user of this machine can read the token of the admin API')
  }
  return key
}

function createKey(file: string, log: Logger): string {
  const key = randomBytes(KEY_BYTES).toString('base64url')
  mkdirSync(dirname(file), { recursive: true, mode: 0o750 })
  writeFileSync(file, `${key}\n`, { mode: KEY_MODE })
  // writeFileSync does not change the mode of an existing file.
  chmodSync(file, KEY_MODE)
  log.info({ file }, 'created a token for the admin API')
  return key
}
