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

/** Which modules a module may import; the longest module name that is a prefix of a file applies. */
const BORDERS = Object.entries(
  JSON.parse(text('src/borders.json')) as Record<string, string[]>,
).sort(([a], [b]) => b.length - a.length)

const isWithin = (file: string, module: string) =>
  file === `src/${module}` || file.startsWith(`src/${module}/`)

t.test('every module imports only what src/borders.json allows', async t => {
  let imports = 0
  for (const file of sources) {
    const border = BORDERS.find(([module]) => isWithin(file, module))
    if (!border) continue
    for (const [, target] of text(file).matchAll(/from '(\.{1,2}\/[^']+)'/g)) {
      const imported = relative(root, join(root, dirname(file), target ?? ''))
      imports++
      if (!border[1].some(allowed => isWithin(imported, allowed)))
        t.fail(`${file} imports ${imported}`)
    }
  }
  t.ok(imports > 50, `${imports} imports checked`)
})

/** Sources without a test file of their own, and where they are tested instead. */
const TESTED_ELSEWHERE: Record<string, string> = {
  'src/main.ts': 'test/e2e',
  'src/threads/engine-thread.ts': 'test/app/primary.test.ts',
  'src/serving/worker.ts': 'test/app/primary.test.ts',
  'src/threads/udp-thread.ts': 'test/threads/udp-threads.test.ts',
  'src/serving/messages.ts': 'types only',
  'src/serving/http-servers.ts': 'test/app/reload.long.test.ts',
  'src/app/rules.ts': 'test/app/reload.long.test.ts',
  'src/app/signals.ts': 'test/app/primary.test.ts',
  'src/snapshot/report.ts': 'test/snapshot/pool.test.ts',
  'src/snapshot/format.ts': 'test/snapshot/read.test.ts',
  'src/snapshot/files.ts': 'test/snapshot/write.test.ts',
  'src/snapshot/count-records.ts': 'test/snapshot/read.test.ts',
  'src/snapshot/job.ts': 'test/snapshot/pool.test.ts',
  'src/version.ts': 'test/snapshot/read.test.ts',
  'src/thread-url.ts': 'test/threads/engine-threads.test.ts',
  'src/errors.ts': 'test/config/load.test.ts',
  'src/native/socket.ts': 'test/frontends/udp/socket.test.ts',
  'src/config/schema.ts': 'test/config/print.test.ts',
  'src/config/database-schema.ts': 'test/config/print.test.ts',
  'src/config/key-schema.ts': 'test/config/print.test.ts',
  'src/config/limits-schema.ts': 'test/config/print.test.ts',
  'src/config/server-schemas.ts': 'test/config/print.test.ts',
  'src/app/limit-settings.ts': 'test/e2e/limits.long.test.ts',
  'src/frontends/connection-look.ts': 'test/frontends/connection-limits.test.ts',
  'src/frontends/connection-thread.ts': 'test/frontends/connection-limits.test.ts',
  'src/native/open-sockets.ts': 'test/frontends/listen.test.ts',
  'src/frontends/uws.ts': 'test/frontends/http/server.test.ts',
  'src/frontends/api/body.ts': 'test/frontends/api/server.test.ts',
  'src/frontends/api/call.ts': 'test/frontends/api/contract.test.ts',
  'src/dashboard/answers.ts': 'types only',
  'src/dashboard/api.ts': 'test/e2e/dashboard.long.test.ts',
  'src/dashboard/charts.ts': 'test/e2e/dashboard.long.test.ts',
  'src/dashboard/dom.ts': 'test/e2e/dashboard.long.test.ts',
  'src/dashboard/format.ts': 'test/e2e/dashboard.long.test.ts',
  'src/dashboard/forms.ts': 'test/e2e/dashboard.long.test.ts',
  'src/dashboard/hashes.ts': 'test/e2e/dashboard.long.test.ts',
  'src/dashboard/keys.ts': 'test/e2e/dashboard.long.test.ts',
  'src/dashboard/lists.ts': 'test/e2e/dashboard.long.test.ts',
  'src/dashboard/main.ts': 'test/e2e/dashboard.long.test.ts',
  'src/dashboard/overview.ts': 'test/e2e/dashboard.long.test.ts',
  'src/dashboard/theme.ts': 'test/e2e/dashboard.long.test.ts',
  'src/dashboard/torrent.ts': 'test/e2e/dashboard.long.test.ts',
  'src/dashboard/users.ts': 'test/e2e/dashboard.long.test.ts',
  'src/frontends/api/exchange.ts': 'test/frontends/api/operations/torrents.test.ts',
  'src/frontends/api/operations/keys.ts': 'test/frontends/api/contract.test.ts',
  'src/frontends/api/limits.ts': 'constants only',
  'src/frontends/api/operations/lists.ts': 'test/frontends/api/contract.test.ts',
  'src/frontends/api/openapi.ts': 'test/frontends/api/contract.test.ts',
  'src/frontends/api/operations/overview.ts': 'test/frontends/api/contract.test.ts',
  'src/frontends/api/replies.ts': 'test/frontends/api/contract.test.ts',
  'src/frontends/api/respond.ts': 'test/frontends/api/contract.test.ts',
  'src/frontends/api/operations/status.ts': 'test/frontends/api/contract.test.ts',
  'src/frontends/api/operations/users.ts': 'test/frontends/api/contract.test.ts',
  'src/frontends/http/answers.ts': 'test/frontends/http/server.test.ts',
  'src/engine/tables/gone-workers.ts': 'test/engine/leave.test.ts',
  'src/counters/engine.ts': 'test/threads/engine-threads.test.ts',
  'src/metrics/catalogue.ts': 'test/metrics/metrics.test.ts',
  'src/metrics/samples.ts': 'test/metrics/metrics.test.ts',
  'src/metrics/sources.ts': 'types only',
  'src/metrics/torrust-actix.ts': 'test/metrics/metrics.test.ts',
  'src/counters/link.ts': 'test/link/client.test.ts',
  'src/frontends/websocket/removal.ts': 'test/frontends/websocket/tracker.test.ts',
  'src/frontends/websocket/limits.ts': 'constants only',
  'src/frontends/websocket/session.ts': 'test/frontends/websocket/tracker.test.ts',
  'src/link/port.ts': 'test/link/client.test.ts',
  'src/link/server.ts': 'test/link/client.test.ts',
  'src/protocol/bytes.ts': 'test/link/frame.test.ts',
  'src/config/config.ts': 'types only',
  'src/link/link.ts': 'types only',
  'src/protocol/events.ts': 'constants only',
  'src/protocol/http/query.ts': 'test/protocol/http/request.test.ts',
  'src/protocol/http/query-address.ts': 'test/protocol/http/request.test.ts',
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
  'src/admin/rpc.ts': 'test/e2e/admin.test.ts',
  'src/app/persistence.ts': 'test/e2e/admin.test.ts',
  'src/app/snapshots.ts': 'test/e2e/admin.test.ts',
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
  'src/engine/reply.ts': 'test/engine/announce.test.ts',
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
