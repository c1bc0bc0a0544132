import { spawnSync } from 'node:child_process'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { announce, hex, startWithApi } from '../../fixtures/admin-client.ts'
import { getBencoded } from '../../fixtures/http-client.ts'
import { temporaryFolder } from '../../fixtures/start-tracker.ts'

const DISK_BYTES = 4 * 2 ** 20
/** Command for a mount namespace, which a user can create in an own user namespace. */
const NAMESPACE = ['unshare', '--user', '--map-root-user', '--mount']

function canMount(): boolean {
  const [command = '', ...words] = NAMESPACE
  return spawnSync(command, [...words, 'mount', '-t', 'tmpfs', 'tmpfs', '/mnt']).status === 0
}

/** Fills a disk completely, and returns a function that frees it. */
function fillDisk(folder: string): () => void {
  const file = join(folder, 'filler')
  for (let bytes = DISK_BYTES; bytes >= 1; bytes = Math.floor(bytes / 2)) {
    try {
      writeFileSync(file, Buffer.alloc(bytes), { flag: 'a' })
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error
    }
  }
  return () => rmSync(file)
}

t.test(
  'a full disk fails API writes but no announce, and counts are stored once space is free',
  { skip: !canMount() && 'no mount namespace may be had here' },
  async t => {
    const folder = temporaryFolder(t)
    mkdirSync(join(folder, 'data'))
    const mount = `mount -t tmpfs -o size=${DISK_BYTES} tmpfs data && exec "$@"`
    const { tracker, admin } = await startWithApi(
      t,
      {
        frontend: { workers: 1 },
        log: { level: 'debug' },
        snapshot: { interval: 10 },
        database: { persistent_interval: 1, insert_vacant: true },
      },
      folder,
      { through: [...NAMESPACE, 'sh', '-c', mount, 'sh'] },
    )
    const hashes = (from: number) => Array.from({ length: 10_000 }, (_, n) => hex(from + n))
    t.match(await admin.call('POST', '/api/whitelists', hashes(1)), { status: 200 })

    const free = fillDisk(`/proc/${tracker.pid}/root${folder}/data`)
    t.match(await admin.call('POST', '/api/whitelists', hashes(20_000)), {
      status: 500,
      json: { status: 'database error' },
    })
    t.match(await admin.call('GET', `/api/whitelist/${hex(20_000)}`), { status: 404 })
    const told = tracker.log.filter(({ msg }) => msg === 'API request failed')
    t.equal(told.length, 1, 'told once, with the reason')
    t.match(told, [{ level: 50, err: { message: /disk is full/ } }])
    for (let n = 0; n < 500; n++) {
      const answer = await getBencoded(
        tracker.url(),
        announce('/announce', n, { left: 0, event: 'started' }),
      )
      if (!('complete' in answer)) t.fail(`client ${n} was refused`)
    }
    const failed = await tracker.line(({ msg }) => msg === 'could not write the snapshot')
    t.match(failed['reason'], /ENOSPC|no space/i)

    free()
    const lines = tracker.log.length
    t.match(await admin.call('POST', '/api/whitelists', hashes(20_000)), { status: 200 })
    t.match(await admin.call('GET', `/api/whitelist/${hex(20_000)}`), { status: 200 })
    await tracker.line(
      ({ msg, peers }) => msg === 'snapshot written' && String(peers) === '500,0',
      lines,
    )
    t.equal(await tracker.stop(), 0)
    t.notOk(
      tracker.log.some(({ level }) => level >= 60),
      'nothing fatal',
    )
  },
)
