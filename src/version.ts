import { existsSync, readFileSync } from 'node:fs'

let version: string | undefined

/**
 * The version in the nearest package.json above: the depth of this file differs between a checkout
 * and a package.
 */
export function musterVersion(): string {
  // Read once: later a process without free file descriptors could not read it.
  version ??= readVersion()
  return version
}

function readVersion(): string {
  let folder = new URL('.', import.meta.url)
  while (!existsSync(new URL('package.json', folder))) folder = new URL('..', folder)
  const manifest = JSON.parse(readFileSync(new URL('package.json', folder), 'utf8')) as {
    version: string
  }
  return manifest.version
}
