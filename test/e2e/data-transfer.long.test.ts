import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { closeSync, mkdirSync, openSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { announce, startWithApi } from '../fixtures/admin-client.ts'
import { getBencoded } from '../fixtures/http-client.ts'
import { launch, MAIN, temporaryFolder } from '../fixtures/start-tracker.ts'

const UUID = '550e8400-e29b-41d4-a716-446655440000'
const hex = (n: number) => n.toString(16).padStart(40, '0')

/** Runs the program in `folder` to its exit. */
async function run(t: Test, folder: string, ...words: string[]) {
  const program = launch(t, words, folder)
  const status = await program.ended
  return { status, said: program.stderr() }
}

t.test('an export has the torrents, sessions and factors of users', async t => {
  const [from, to] = [temporaryFolder(t), temporaryFolder(t)]
  const config = { tracker_config: { users_enabled: true }, limits: { announces_per_address: 0 } }
  const first = await startWithApi(t, config, from)
  await first.admin.call('POST', '/api/users', [[UUID, hex(6), 0, 0, 0, 9, 1]])
  const factors = [{ scope: 'user', id: hex(6), upload: 2.5, download: 0, until: 0 }]
  await first.admin.call('POST', '/api/factors', factors)
  const path = `/${hex(6)}/announce`
  await getBencoded(first.tracker.url(), announce(path, 1, { uploaded: 0 }))
  await getBencoded(first.tracker.url(), announce(path, 1, { uploaded: 2 ** 45 }))
  t.equal(await first.tracker.stop(), 0)
  const file = join(from, 'all.jsonl')
  t.match(await run(t, from, 'export', file), { status: 0 })
  t.match(await run(t, to, 'import', file), { status: 0 })
  t.match(await run(t, to, 'import', file), { status: 0 }, 'a second time adds nothing')

  const second = await startWithApi(t, config, to)
  t.match(await second.admin.call('GET', `/api/user/${hex(6)}/torrents`), {
    json: { torrents: [{ uploaded: 2 ** 45, credited_up: 2.5 * 2 ** 45, credited_down: 0 }] },
  })
  t.match(await second.admin.call('GET', '/api/list/factors'), { json: { factors } })
  await getBencoded(second.tracker.url(), announce(path, 1, { uploaded: 2 ** 45 + 1000 }))
  t.match(
    await second.admin.call('GET', `/api/user/${hex(6)}`),
    { json: { uploaded: 2.5 * 2 ** 45 + 2500 } },
    'the session goes on where it was',
  )
  t.equal(await second.tracker.stop(), 0)
})

t.test('an export of one tracker is imported into another', async t => {
  const [from, to] = [temporaryFolder(t), temporaryFolder(t)]
  const first = await startWithApi(t, {}, from)
  const many = Array.from({ length: 25_000 }, (_, n) => hex(n))
  await first.admin.call('POST', '/api/whitelists', many)
  await first.admin.call('POST', '/api/blacklists', [hex(3)])
  await first.admin.call('POST', '/api/keys', { [hex(4)]: 0 })
  await first.admin.call('POST', '/api/torrents', { [hex(5)]: 77 })
  await first.admin.call('POST', '/api/users', [[UUID, hex(6), 100, 50, 2, 9, 1]])
  const file = join(from, 'all.jsonl')
  const exported = await run(t, from, 'export', file)
  t.match(exported, {
    status: 0,
    said: /25000 on the whitelist, 1 on the blacklist, 1 keys, 1 users/,
  })
  t.equal(statSync(file).mode & 0o777, 0o600)
  t.equal(await first.tracker.stop(), 0)

  t.match(await run(t, to, 'import', file), {
    status: 0,
    said: /1 torrents, 25000 on the whitelist/,
  })
  t.match(await run(t, to, 'import', file), { status: 0 }, 'a second time changes nothing')
  const second = await startWithApi(t, {}, to)
  t.match(await second.admin.call('GET', `/api/whitelist/${hex(24_999)}`), { status: 200 })
  t.match(await second.admin.call('GET', `/api/key/${hex(4)}`), { json: { timeout: 0 } })
  t.match(await second.admin.call('GET', `/api/torrent/${hex(5)}`), { json: { completed: 77 } })
  t.match(await second.admin.call('GET', `/api/user/${hex(6)}`), {
    json: { uuid: UUID, uploaded: 100, downloaded: 50, completed: 2, active: 1 },
  })
  t.equal(await second.tracker.stop(), 0)

  const lines = readFileSync(file, 'utf8').trimEnd().split('\n')
  for (const [name, text, why] of [
    ['cut', lines.slice(0, -1), /the file ends early/],
    ['short', lines.filter((_, n) => n !== 5), /whitelist lines are missing/],
    ['odd', [lines[0], '{"kind":"key","hash":"x","timeout":0}'], /:2: hash: must match pattern/],
    ['other', ['{"format":"something else"}'], /:1: not an export of muster/],
    [
      'newer',
      ['{"format":"muster export","version":9}'],
      /:1: version 9; this program reads 1 to 2/,
    ],
    ['garbage', ['\u0000\u0001'], /:1: not a line of JSON/],
  ] as const) {
    const broken = join(from, name)
    writeFileSync(broken, `${text.join('\n')}\n`)
    t.match(await run(t, to, 'import', broken), { status: 65, said: why }, name)
  }
  t.match(await run(t, to, 'import', join(from, 'nowhere')), { status: 65, said: /ENOENT/ })
})

t.test('imports the export files of Torrust-Actix', async t => {
  const folder = temporaryFolder(t)
  const files = join(folder, 'theirs')
  mkdirSync(files)
  const write = (name: string, content: unknown) =>
    writeFileSync(join(files, name), JSON.stringify(content))
  write('torrents.json', { [hex(1)]: { seeds: {}, peers: {}, completed: 12, updated: [0, 0] } })
  write('whitelists.json', [hex(2).toUpperCase()])
  write('keys.json', { [hex(3)]: 0 })
  write('users.json', {
    [hex(4)]: { key: hex(4), user_uuid: UUID, uploaded: 5, downloaded: 6, completed: 7, active: 1 },
  })
  t.match(await run(t, folder, 'import', '--torrust-actix', files), {
    status: 0,
    said: /1 torrents, 1 on the whitelist, 0 on the blacklist, 1 keys, 1 users/,
  })
  write('keys.json', { nonsense: 0 })
  t.match(await run(t, folder, 'import', '--torrust-actix', files), {
    status: 65,
    said: /keys.json: nonsense: hash: must match pattern/,
  })
  t.match(await run(t, folder, 'import', '--torrust-actix', folder), {
    status: 65,
    said: /none of these files exists: .*torrents.json/,
  })
})

t.test('--export writes the files of Torrust-Actix, and --import reads them', async t => {
  const [from, to] = [temporaryFolder(t), temporaryFolder(t)]
  const first = await startWithApi(t, {}, from)
  await first.admin.call('POST', '/api/whitelists', [hex(1), hex(2)])
  await first.admin.call('POST', '/api/keys', { [hex(4)]: 0 })
  await first.admin.call('POST', '/api/torrents', { [hex(5)]: 77 })
  await first.admin.call('POST', '/api/users', [[UUID, hex(6), 100, 50, 2, 9, 1]])
  t.equal(await first.tracker.stop(), 0)
  t.match(await run(t, from, '--export', '--export-file-keys', 'my-keys.json'), { status: 0 })
  const read = (name: string) => JSON.parse(readFileSync(join(from, name), 'utf8'))
  t.same(read('torrents.json'), { [hex(5)]: { completed: 77 } })
  t.same(read('whitelists.json'), [hex(1), hex(2)])
  t.same(read('blacklists.json'), [])
  t.same(read('my-keys.json'), { [hex(4)]: 0 })
  // Torrust-Actix finds a user by the SHA-1 of its id.
  t.match(read('users.json'), {
    [createHash('sha1').update(UUID).digest('hex')]: {
      key: hex(6),
      user_id: null,
      user_uuid: UUID,
      uploaded: 100,
      downloaded: 50,
      completed: 2,
      active: 1,
      torrents_active: {},
    },
  })
  const imported = ['--import']
  for (const table of ['torrents', 'whitelists', 'blacklists', 'users'])
    imported.push(`--import-file-${table}`, join(from, `${table}.json`))
  imported.push('--import-file-keys', join(from, 'my-keys.json'))
  t.match(await run(t, to, ...imported), {
    status: 0,
    said: /1 torrents, 2 on the whitelist, 0 on the blacklist, 1 keys, 1 users/,
  })
})

t.test('--create-config writes a configuration once', async t => {
  const folder = temporaryFolder(t)
  t.match(await run(t, folder, '--create-config'), { status: 0 })
  t.match(await run(t, folder, '--create-config'), { status: 69, said: /EEXIST/ })
  t.match(await run(t, folder, '--check-config'), { status: 0 })
})

t.test('--create-database creates the tables, and wrong arguments print the usage', async t => {
  const folder = temporaryFolder(t)
  t.match(await run(t, folder, '--create-database'), { status: 0, said: /the tables exist/ })
  t.match(await run(t, folder, 'export'), { status: 64, said: /export and import need one FILE/ })
  t.match(await run(t, folder, 'dance', 'x'), { status: 64, said: /unknown command dance/ })
})

t.test('an export to a path that cannot be written is reported', async t => {
  const folder = temporaryFolder(t)
  t.match(await run(t, folder, '--create-database'), { status: 0 })
  mkdirSync(join(folder, 'taken'))
  for (const [path, code] of [
    ['taken', 'EISDIR'],
    ['none/backup.jsonl', 'ENOENT'],
    ['/proc/backup.jsonl', 'ENOENT'],
  ] as const) {
    const { status, said } = await run(t, folder, 'export', path)
    t.equal(status, 69, path)
    t.equal(said, `${path}: cannot write the export: ${code}\n`)
  }
})

t.test('output that a full disk does not accept is reported', async t => {
  const folder = temporaryFolder(t)
  t.match(await run(t, folder, '--create-database'), { status: 0 })
  const full = openSync('/dev/full', 'w')
  t.teardown(() => closeSync(full))
  for (const words of [['--print-metrics'], ['export', '-']]) {
    const { status, stderr } = spawnSync(process.execPath, [MAIN, ...words], {
      cwd: folder,
      stdio: ['ignore', full, 'pipe'],
      encoding: 'utf8',
    })
    t.match({ status, stderr }, { status: 69, stderr: /^standard output: ENOSPC.*\n$/ })
  }
})
