import { readFileSync } from 'node:fs'
import t from 'tap'
import { createLog } from '../../src/log.ts'
import { adviseHugePages } from '../../src/native/huge-pages.ts'
import { openLibc } from '../../src/native/libc.ts'

const SETTING = '/sys/kernel/mm/transparent_hugepage/enabled'

function offers(): boolean {
  try {
    return !readFileSync(SETTING, 'latin1').includes('[never]')
  } catch {
    return false
  }
}

/**
 * Whether the kernel marks the mapping around `address` for huge pages (proc_pid_smaps(5), `hg`).
 */
function isAdvised(address: number): boolean {
  let isWithin = false
  for (const line of readFileSync('/proc/self/smaps', 'latin1').split('\n')) {
    const [, from, to] = /^([0-9a-f]+)-([0-9a-f]+) /.exec(line) ?? []
    if (from && to)
      isWithin = Number.parseInt(from, 16) <= address && address < Number.parseInt(to, 16)
    else if (isWithin && line.startsWith('VmFlags:')) return / hg( |$)/.test(line)
  }
  return false
}

t.test(
  'only the given memory is marked for huge pages',
  { skip: !offers() && 'this kernel has no huge pages to give' },
  async t => {
    const [advised, other] = [
      new SharedArrayBuffer(64 * 2 ** 20),
      new SharedArrayBuffer(64 * 2 ** 20),
    ]
    adviseHugePages([advised], createLog({ level: 'silent', format: 'json' }, 'test'))
    const middle = (memory: SharedArrayBuffer) =>
      openLibc().address(new Uint8Array(memory)) + memory.byteLength / 2
    t.ok(isAdvised(middle(advised)))
    t.notOk(isAdvised(middle(other)))
  },
)
