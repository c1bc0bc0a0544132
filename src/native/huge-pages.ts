import { readFileSync } from 'node:fs'
import type { Logger } from '../log.ts'
import { errnoName, openLibc } from './libc.ts'
import { MADV_HUGEPAGE } from './linux.ts'

const SETTING = '/sys/kernel/mm/transparent_hugepage/enabled'
/** Bytes of the largest regular page: 64 KiB on some arm64. An advised range begins at a page. */
const PAGE_BYTES = 65_536

/**
 * Asks the kernel to back `memories` with pages of 2 MiB, before they are touched. Where the kernel
 * does not, a warning is logged and regular pages are used.
 */
export function adviseHugePages(memories: readonly SharedArrayBuffer[], log: Logger): void {
  const reason = advise(memories)
  if (reason) log.warn({ reason }, 'huge pages are not available; using regular pages')
}

/** Returns the reason where it fails. */
function advise(memories: readonly SharedArrayBuffer[]): string | undefined {
  try {
    if (readFileSync(SETTING, 'latin1').includes('[never]')) return `${SETTING} is set to never`
    const libc = openLibc()
    for (const memory of memories) {
      const begin = libc.address(new Uint8Array(memory))
      const aligned = Math.ceil(begin / PAGE_BYTES) * PAGE_BYTES
      const bytes = begin + memory.byteLength - aligned
      if (libc.madvise(aligned, bytes, MADV_HUGEPAGE) === -1) return errnoName(libc.errno())
    }
    return undefined
  } catch (error) {
    return (error as Error).message
  }
}
