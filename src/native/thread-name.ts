import { tryLibc } from './libc.ts'
import { PR_SET_NAME } from './linux.ts'

/**
 * Gives the calling thread a name for /proc/PID/task/TID/comm, `top -H` and perf. The kernel keeps
 * the first 15 bytes. Does nothing where the C library cannot be called.
 */
export function nameThread(name: string): void {
  tryLibc()?.prctlText(PR_SET_NAME, name)
}
