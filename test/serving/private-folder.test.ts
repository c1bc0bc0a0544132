import { existsSync, mkdirSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import t from 'tap'
import { createPrivateFolder, removePrivateFolder } from '../../src/serving/private-folder.ts'
import { testFolder } from '../app/fixtures/engine-start.ts'

t.test('only this user can read the folder, and each start gets its own', async t => {
  const first = createPrivateFolder({})
  const second = createPrivateFolder({})
  t.equal(dirname(first), tmpdir())
  t.not(first, second)
  t.equal(statSync(first).mode & 0o777, 0o700)
  writeFileSync(join(first, 'engine-0.sock'), '')
  removePrivateFolder(first)
  removePrivateFolder(second)
  t.notOk(existsSync(first) || existsSync(second))
  t.doesNotThrow(() => removePrivateFolder(first), 'removing it twice is not a fault')
})

t.test('systemd’s runtime directory is used, the first of several', async t => {
  const base = testFolder(t)
  const folder = createPrivateFolder({ RUNTIME_DIRECTORY: `${base}:/run/other` })
  t.equal(dirname(folder), base)
})

t.test('the error for a folder that cannot be created names the reason', async t => {
  t.throws(() => createPrivateFolder({ RUNTIME_DIRECTORY: '/nonexistent/muster' }), {
    exitStatus: 69,
    message:
      'cannot create a folder below /nonexistent/muster: ENOENT. Set RUNTIME_DIRECTORY to a folder that muster can write to.',
  })
})

t.test('the longest path that is allowed still fits a socket, a longer one is refused', async t => {
  const parent = testFolder(t)
  const room = 76 - parent.length - 1
  const longest = join(parent, 'x'.repeat(room))
  mkdirSync(longest)
  const path = join(createPrivateFolder({ RUNTIME_DIRECTORY: longest }), 'relay-65535.sock')
  const server = createServer()
  await new Promise<void>(resolve => server.listen(path, resolve))
  t.ok(existsSync(path), 'nothing was cut off')
  await new Promise(resolve => server.close(resolve))
  const tooLong = join(parent, 'x'.repeat(room + 1))
  mkdirSync(tooLong)
  t.throws(() => createPrivateFolder({ RUNTIME_DIRECTORY: tooLong }), {
    exitStatus: 69,
    message: /longer than 76 bytes/,
  })
})

t.test('folders that killed trackers left are removed, others stay', async t => {
  const base = testFolder(t)
  const environment = { RUNTIME_DIRECTORY: base }
  const living = createPrivateFolder(environment)
  const old = (name: string, hasLock: boolean) => {
    const folder = join(base, name)
    mkdirSync(folder)
    if (hasLock) writeFileSync(join(folder, 'lock'), '1\n')
    utimesSync(folder, 1, 1)
    return folder
  }
  utimesSync(living, 1, 1)
  const left = old('muster-aaaaaa', true)
  const other = old('muster-bbbbbb', false)
  const fresh = join(base, 'muster-cccccc')
  mkdirSync(fresh)
  writeFileSync(join(fresh, 'lock'), '')
  createPrivateFolder(environment)
  t.equal(existsSync(left), process.platform !== 'linux')
  t.ok(existsSync(living), 'its owner lives')
  t.ok(existsSync(other), 'it is not known to be a tracker\u2019s')
  t.ok(existsSync(fresh), 'its owner may be about to lock it')
})
