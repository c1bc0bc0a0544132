import { existsSync, readFileSync } from 'node:fs'

/** Of the nearest package.json above: this file lies at different depths in a checkout and in a package. */
export function musterVersion(): string {
  let folder = new URL('.', import.meta.url)
  while (!existsSync(new URL('package.json', folder))) folder = new URL('..', folder)
  const manifest = JSON.parse(readFileSync(new URL('package.json', folder), 'utf8')) as {
    version: string
  }
  return manifest.version
}
