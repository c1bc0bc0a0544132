import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { configError } from '../errors.ts'

type Environment = Readonly<Record<string, string | undefined>>

/**
 * The environment with the credentials of systemd (`LoadCredential=`, systemd.exec(5)): a file in
 * $CREDENTIALS_DIRECTORY whose name is that of an environment variable, such as TRACKER__API_KEY,
 * has the value of this variable. A variable that is set has precedence. Throws an OperatorError if
 * a file cannot be read.
 */
export function withCredentials(environment: Environment): Environment {
  const folder = environment['CREDENTIALS_DIRECTORY']
  if (!folder) return environment
  try {
    const names = readdirSync(folder).filter(name => /^[A-Z][A-Z0-9_]*$/.test(name))
    const values = names.map(name => [name, readFileSync(join(folder, name), 'utf8').trimEnd()])
    return { ...Object.fromEntries(values), ...environment }
  } catch (error) {
    throw configError([`${folder}: cannot read the credentials: ${(error as Error).message}`])
  }
}
