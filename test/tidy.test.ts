import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import t from 'tap'
import { repositoryRoot } from './fixtures/repository-root.ts'

const root = repositoryRoot()

function filesBelow(folder: string, ending: string): string[] {
  return readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter(name => name.endsWith(ending))
    .map(name => join(folder, name))
    .sort()
}

function text(file: string): string {
  return readFileSync(join(root, file), 'utf8')
}

const sources = filesBelow('src', '.ts')

/** Which rooms a room may import; the first prefix that fits a file counts. */
const BORDERS: [room: string, allowed: string[]][] = [
  ['src/protocol/', ['src/protocol/']],
  ['src/engine/tables/', ['src/engine/tables/']],
  ['src/engine/', ['src/engine/', 'src/protocol/']],
  ['src/link/', ['src/link/', 'src/protocol/', 'src/histogram.ts']],
  [
    'src/frontends/udp/',
    [
      'src/frontends/udp/',
      'src/frontends/client-address.ts',
      'src/protocol/',
      'src/engine/',
      'src/link/link.ts',
      'src/histogram.ts',
    ],
  ],
  ['src/frontends/api/dashboard/', ['src/frontends/api/dashboard/']],
  ['src/frontends/api/', ['src/frontends/', 'src/admin/admin.ts']],
  ['src/frontends/', ['src/frontends/', 'src/protocol/', 'src/link/', 'src/thread-url.ts']],
  [
    'src/admin/',
    [
      'src/admin/',
      'src/database/database.ts',
      'src/engine/',
      'src/protocol/',
      'src/link/rpc.ts',
      'src/log.ts',
    ],
  ],
  ['src/config/', ['src/config/', 'src/protocol/limits.ts', 'src/errors.ts']],
  [
    'src/database/',
    ['src/database/', 'src/config/config.ts', 'src/config/database-path.ts', 'src/errors.ts'],
  ],
  [
    'src/snapshot/',
    ['src/snapshot/', 'src/engine/', 'src/protocol/', 'src/thread-url.ts', 'src/version.ts'],
  ],
  ['src/tls/', ['src/tls/', 'src/errors.ts']],
  [
    'src/metrics/',
    [
      'src/metrics/',
      'src/cluster/engine-counters.ts',
      'src/cluster/process-report.ts',
      'src/cluster/processes.ts',
      'src/engine/tables/layout.ts',
      'src/engine/totals.ts',
      'src/engine/limits.ts',
      'src/frontends/counters.ts',
      'src/frontends/udp/counters.ts',
      'src/histogram.ts',
      'src/link/counters.ts',
      'src/protocol/failures.ts',
    ],
  ],
  ['src/errors.ts', []],
  ['src/histogram.ts', []],
  ['src/version.ts', []],
  ['src/log.ts', ['src/config/config.ts']],
  ['src/thread-url.ts', []],
]

t.test('every room imports only what it may', async t => {
  let imports = 0
  for (const file of sources) {
    const border = BORDERS.find(([room]) => file.startsWith(room))
    if (!border) continue
    for (const [, target] of text(file).matchAll(/from '(\.{1,2}\/[^']+)'/g)) {
      const imported = relative(root, join(root, dirname(file), target ?? ''))
      imports++
      if (!border[1].some(allowed => imported.startsWith(allowed)))
        t.fail(`${file} imports ${imported}`)
    }
  }
  t.ok(imports > 50, `${imports} imports looked at`)
})

/** Sources without a test file of their own, and where they are tested instead. */
const TESTED_ELSEWHERE: Record<string, string> = {
  'src/main.ts': 'test/e2e',
  'src/cluster/engine-thread.ts': 'test/cluster/primary.test.ts',
  'src/cluster/worker.ts': 'test/cluster/primary.test.ts',
  'src/cluster/udp-thread.ts': 'test/cluster/udp-threads.test.ts',
  'src/cluster/messages.ts': 'types only',
  'src/cluster/serving.ts': 'test/cluster/reload.long.test.ts',
  'src/cluster/engine-rules.ts': 'test/cluster/reload.long.test.ts',
  'src/cluster/signals.ts': 'test/cluster/primary.test.ts',
  'src/snapshot/report.ts': 'test/snapshot/pool.test.ts',
  'src/snapshot/format.ts': 'test/snapshot/read.test.ts',
  'src/snapshot/files.ts': 'test/snapshot/write.test.ts',
  'src/snapshot/count-records.ts': 'test/snapshot/read.test.ts',
  'src/snapshot/job.ts': 'test/snapshot/pool.test.ts',
  'src/version.ts': 'test/snapshot/read.test.ts',
  'src/thread-url.ts': 'test/cluster/engine-threads.test.ts',
  'src/errors.ts': 'test/config/load.test.ts',
  'src/frontends/udp/bound-socket.ts': 'test/frontends/udp/socket.test.ts',
  'src/config/schema.ts': 'test/config/print.test.ts',
  'src/config/database-schema.ts': 'test/config/print.test.ts',
  'src/config/key-schema.ts': 'test/config/print.test.ts',
  'src/config/limits-schema.ts': 'test/config/print.test.ts',
  'src/config/server-schemas.ts': 'test/config/print.test.ts',
  'src/cluster/limit-settings.ts': 'test/e2e/limits.long.test.ts',
  'src/frontends/connection-look.ts': 'test/frontends/connection-limits.test.ts',
  'src/frontends/connection-thread.ts': 'test/frontends/connection-limits.test.ts',
  'src/frontends/sockets.ts': 'test/frontends/listen.test.ts',
  'src/frontends/uws.ts': 'test/frontends/http/server.test.ts',
  'src/frontends/api/body.ts': 'test/frontends/api/server.test.ts',
  'src/frontends/api/call.ts': 'test/frontends/api/contract.test.ts',
  'src/frontends/api/dashboard/answers.ts': 'types only',
  'src/frontends/api/dashboard/api.ts': 'test/e2e/dashboard.long.test.ts',
  'src/frontends/api/dashboard/charts.ts': 'test/e2e/dashboard.long.test.ts',
  'src/frontends/api/dashboard/dom.ts': 'test/e2e/dashboard.long.test.ts',
  'src/frontends/api/dashboard/format.ts': 'test/e2e/dashboard.long.test.ts',
  'src/frontends/api/dashboard/forms.ts': 'test/e2e/dashboard.long.test.ts',
  'src/frontends/api/dashboard/hashes.ts': 'test/e2e/dashboard.long.test.ts',
  'src/frontends/api/dashboard/keys.ts': 'test/e2e/dashboard.long.test.ts',
  'src/frontends/api/dashboard/lists.ts': 'test/e2e/dashboard.long.test.ts',
  'src/frontends/api/dashboard/main.ts': 'test/e2e/dashboard.long.test.ts',
  'src/frontends/api/dashboard/overview.ts': 'test/e2e/dashboard.long.test.ts',
  'src/frontends/api/dashboard/theme.ts': 'test/e2e/dashboard.long.test.ts',
  'src/frontends/api/dashboard/torrent.ts': 'test/e2e/dashboard.long.test.ts',
  'src/frontends/api/dashboard/users.ts': 'test/e2e/dashboard.long.test.ts',
  'src/frontends/api/exchange.ts': 'test/frontends/api/torrents.test.ts',
  'src/frontends/api/keys.ts': 'test/frontends/api/contract.test.ts',
  'src/frontends/api/limits.ts': 'constants only',
  'src/frontends/api/lists.ts': 'test/frontends/api/contract.test.ts',
  'src/frontends/api/openapi.ts': 'test/frontends/api/contract.test.ts',
  'src/frontends/api/overview.ts': 'test/frontends/api/contract.test.ts',
  'src/frontends/api/replies.ts': 'test/frontends/api/contract.test.ts',
  'src/frontends/api/respond.ts': 'test/frontends/api/contract.test.ts',
  'src/frontends/api/status.ts': 'test/frontends/api/contract.test.ts',
  'src/frontends/api/users.ts': 'test/frontends/api/contract.test.ts',
  'src/frontends/http/answers.ts': 'test/frontends/http/server.test.ts',
  'src/engine/tables/gone-workers.ts': 'test/engine/leave.test.ts',
  'src/cluster/engine-counters.ts': 'test/cluster/engine-threads.test.ts',
  'src/metrics/catalogue.ts': 'test/metrics/metrics.test.ts',
  'src/metrics/samples.ts': 'test/metrics/metrics.test.ts',
  'src/metrics/sources.ts': 'types only',
  'src/metrics/torrust-actix.ts': 'test/metrics/metrics.test.ts',
  'src/link/counters.ts': 'test/link/client.test.ts',
  'src/frontends/websocket/leaving.ts': 'test/frontends/websocket/server.test.ts',
  'src/frontends/websocket/limits.ts': 'constants only',
  'src/frontends/websocket/socket.ts': 'test/frontends/websocket/server.test.ts',
  'src/link/port.ts': 'test/link/client.test.ts',
  'src/link/server.ts': 'test/link/client.test.ts',
  'src/protocol/bytes.ts': 'test/link/frame.test.ts',
  'src/config/config.ts': 'types only',
  'src/link/link.ts': 'types only',
  'src/protocol/events.ts': 'constants only',
  'src/protocol/query.ts': 'test/protocol/http-request.test.ts',
  'src/protocol/query-address.ts': 'test/protocol/http-request.test.ts',
  'src/protocol/limits.ts': 'constants only',
  'src/protocol/scrape-record.ts': 'constants only',
  'src/database/database.ts': 'types only',
  'src/admin/admin.ts': 'types only',
  'src/transfer/commands.ts': 'test/e2e/data-transfer.long.test.ts',
  'src/transfer/export.ts': 'test/e2e/data-transfer.long.test.ts',
  'src/transfer/import.ts': 'test/e2e/data-transfer.long.test.ts',
  'src/transfer/rows.ts': 'test/e2e/data-transfer.long.test.ts',
  'src/transfer/torrust-actix.ts': 'test/e2e/data-transfer.long.test.ts',
  'src/admin/lists.ts': 'test/e2e/admin.test.ts',
  'src/admin/operations.ts': 'test/e2e/admin.test.ts',
  'src/admin/remote.ts': 'test/e2e/admin.test.ts',
  'src/link/rpc.ts': 'test/e2e/admin.test.ts',
  'src/cluster/keeping.ts': 'test/e2e/admin.test.ts',
  'src/cluster/snapshots.ts': 'test/e2e/admin.test.ts',
  'src/admin/keys.ts': 'test/e2e/admin.test.ts',
  'src/admin/users.ts': 'test/e2e/admin.test.ts',
  'src/admin/kept-first.ts': 'test/e2e/admin.test.ts',
  'src/admin/hashes.ts': 'test/e2e/admin.test.ts',
  'src/engine/inspect.ts': 'test/e2e/admin.test.ts',
  'src/database/dialect.ts': 'types only',
  'src/database/check.ts': 'test/database/sqlite.test.ts',
  'src/database/create.ts': 'test/database/sqlite.test.ts',
  'src/database/open.ts': 'test/database/sqlite.test.ts',
  'src/database/shapes.ts': 'test/database/sqlite.test.ts',
  'src/database/statements.ts': 'test/database/sqlite.test.ts',
  'src/database/table.ts': 'test/database/sqlite.test.ts',
  'src/database/transactions.ts': 'test/database/sqlite.test.ts',
  'src/database/users.ts': 'test/database/sqlite.test.ts',
  'src/engine/engine.ts': 'test/engine/model.test.ts',
  'src/engine/announce-reply.ts': 'test/engine/announce.test.ts',
  'src/engine/evict.ts': 'test/engine/announce.test.ts',
  'src/engine/scrape.ts': 'test/engine/announce.test.ts',
  'src/engine/torrent-record.ts': 'test/engine/import-record.test.ts',
  'src/engine/totals.ts': 'test/engine/sweep.test.ts',
  'src/engine/tables/arena.ts': 'test/engine/tables/blocks.test.ts',
  'src/engine/tables/layout.ts': 'constants only',
  'src/engine/tables/random.ts': 'test/engine/announce.test.ts',
  'src/engine/tables/find-peer.ts': 'test/engine/model.test.ts',
  'src/engine/tables/list-room.ts': 'test/engine/model.test.ts',
  'src/engine/tables/peer-list.ts': 'test/engine/model.test.ts',
  'src/engine/tables/swarm.ts': 'test/engine/model.test.ts',
  'src/engine/tables/torrents.ts': 'test/engine/model.test.ts',
  'src/engine/tables/users.ts': 'test/engine/account.test.ts',
}

t.test('every source file has its test, or a reason', async t => {
  for (const file of sources) {
    const own = file.replace(/^src/, 'test').replace(/\.ts$/, '')
    const tests = [`${own}.test.ts`, `${own}.long.test.ts`]
    const isTested = tests.some(test => existsSync(join(root, test))) || TESTED_ELSEWHERE[file]
    if (!isTested) t.fail(`${file} has no ${tests[0]}`)
  }
  for (const [file, where] of Object.entries(TESTED_ELSEWHERE)) {
    t.ok(existsSync(join(root, file)), `${file} is still there`)
    if (where.startsWith('test/')) t.ok(existsSync(join(root, where)), `${where} is still there`)
  }
})

t.test('nothing is left behind', async t => {
  const banned: [pattern: RegExp, why: string][] = [
    [
      new RegExp(
        `\\b(${['TO', 'FIX'].map(word => `${word}${word === 'TO' ? 'DO' : 'ME'}`).join('|')}|XXX)\\b`,
      ),
      'unfinished',
    ],
    [/\bt\.only\(|\.only\(/, 'a test that switches the others off'],
    [/@ts-(ignore|nocheck)/, 'a type error that is hidden'],
  ]
  for (const file of [...sources, ...filesBelow('test', '.ts'), ...filesBelow('bench', '.ts')]) {
    if (file === 'test/tidy.test.ts') continue
    for (const [pattern, why] of banned) if (pattern.test(text(file))) t.fail(`${file}: ${why}`)
  }
})

t.test('the docs agree with the program', async t => {
  const scripts = Object.keys((JSON.parse(text('package.json')) as { scripts: object }).scripts)
  for (const file of ['README.md', 'CONTRIBUTING.md', ...filesBelow('docs', '.md')]) {
    for (const [, script] of text(file).matchAll(/npm run ([a-z:]+)/g)) {
      t.ok(scripts.includes(script ?? ''), `${file}: npm run ${script}`)
    }
    for (const [, link] of text(file).matchAll(/\]\((?!https?:|#)([^)#]+)/g)) {
      t.ok(existsSync(join(root, dirname(file), link ?? '')), `${file}: ${link}`)
    }
  }
  t.match(text('CHANGELOG.md'), /^## Unreleased$/m)
})
