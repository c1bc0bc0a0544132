import { readFileSync } from 'node:fs'
import type { Logger } from '../log.ts'
import { errnoName, openLibc } from './libc.ts'

/** Linux's number, the same on x86-64 and arm64 (madvise(2)). */
const MADV_HUGEPAGE = 14
const SETTING = '/sys/kernel/mm/transparent_hugepage/enabled'
/** The largest size of a small page: 64 KiB on some arm64. What is advised must begin at one. */
const PAGE_BYTES = 65_536

/**
 * Asks the kernel to back `memories` with pages of 2 MiB, before they are touched. Where it does not, that is logged and nothing else
 * changes.
 */
export function adviseHugePages(memories: readonly SharedArrayBuffer[], log: Logger): void {
  const reason = advise(memories)
  if (reason) log.warn({ reason }, 'huge pages cannot be had; small ones are used')
}

/** Returns why it cannot be. */
function advise(memories: readonly SharedArrayBuffer[]): string | undefined {
  try {
    if (readFileSync(SETTING, 'latin1').includes('[never]')) return `${SETTING} says never`
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
