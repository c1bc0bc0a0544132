import { spawnSync } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { CATALOGUE, type Metric } from '../../src/metrics/catalogue.ts'
import { openUdpClient } from '../e2e/fixtures/udp-client.ts'
import { startWithApi, TOKEN } from '../fixtures/admin-client.ts'
import { getBencoded, RawConnection } from '../fixtures/http-client.ts'
import { announceTarget } from '../fixtures/load.ts'
import type { Tracker } from '../fixtures/start-tracker.ts'
import { missing } from './fixtures/prometheus.ts'

async function scrape(tracker: Tracker): Promise<string> {
  const answer = await fetch(`http://127.0.0.1:${tracker.port('api')}/metrics`, {
    headers: { authorization: `Bearer ${TOKEN}` },
  })
  return answer.text()
}

/** Scrapes until every one of these lines is there. */
async function untilLines(t: Test, tracker: Tracker, lines: readonly string[]): Promise<string> {
  for (;;) {
    const text = await scrape(tracker)
    const absent = lines.filter(line => !text.includes(`\n${line}\n`))
    if (absent.length === 0) return text
    t.comment(`still to come: ${absent.join(', ')}`)
    await sleep(200)
  }
}

function namesIn(text: string): string[] {
  return [...text.matchAll(/^# TYPE (\S+)/gm)].map(([, name]) => name ?? '')
}

t.test('metrics and stats count the requests, under the names of Torrust-Actix too', async t => {
  const { tracker, admin } = await startWithApi(t, {
    // uWebSockets.js does not report connections.
    frontend: { workers: 1, http: 'node' },
    snapshot: { interval: 10 },
    limits: { connections_per_address: 1000, refuse_port_zero: true },
  })
  const http = tracker.url()
  await getBencoded(http, announceTarget(1, 1))
  await getBencoded(http, '/announce')
  await getBencoded(http, '/announce?info_hash=x')
  const connection = await RawConnection.open(Number(new URL(http).port))
  await connection.get('/nothing')
  connection.destroy()
  const client = await openUdpClient(t, '127.0.0.1', tracker.port('udp', '127.0.0.1'))
  await client.announce({ port: 1024 })
  await t.rejects(client.announce({ port: 0 }), /port 0 is not allowed/)
  await admin.call('POST', `/api/whitelist/${'a'.repeat(40)}`)
  // The worker reports its counters once a second, and the snapshot takes a while.
  const text = await untilLines(t, tracker, [
    'muster_announces_total{proto="http",family="ipv4"} 1',
    'muster_announces_total{proto="udp",family="ipv4"} 1',
    'muster_failures_total{proto="http",family="ipv4",reason="missing_info_hash"} 1',
    'muster_failures_total{proto="http",family="ipv4",reason="invalid_info_hash"} 1',
    'muster_failures_total{proto="udp",family="ipv4",reason="port_zero"} 1',
    'muster_refused_requests_total{proto="http",family="ipv4",reason="not_found"} 1',
    'muster_udp_datagrams_total{family="ipv4",outcome="error"} 1',
    'muster_udp_received_total{family="ipv4"} 3',
    'muster_link_wait_seconds_count 1',
    'muster_link_frame_records_bucket{le="1"} 1',
    'muster_engine_frame_seconds_count 1',
    'muster_torrents 2',
    'muster_peers{family="ipv4"} 2',
    'muster_peers_removed_total{reason="evicted"} 0',
    'muster_limited_announces_total{limit="peers_per_address"} 0',
    'muster_limited_connections_total{limit="max_connections"} 0',
    'muster_access_entries{table="whitelist"} 1',
    'muster_database_up 1',
    'muster_workers 1',
    'muster_snapshot_failures_total 0',
    'torrust_actix_gauge{metric="torrents"} 2',
    'torrust_actix_gauge{metric="whitelist"} 1',
    'torrust_actix_gauge{metric="whitelist_updates"} 0',
    'torrust_actix_counter{metric="tcp4_announces_handled"} 1',
    'torrust_actix_counter{metric="tcp4_failure"} 2',
    'torrust_actix_counter{metric="tcp4_not_found"} 1',
    'torrust_actix_counter{metric="tcp4_connections_handled"} 4',
    'torrust_actix_counter{metric="udp4_announces_handled"} 1',
    'torrust_actix_counter{metric="udp4_invalid_request"} 1',
    'torrust_actix_counter{metric="ws6_announces_handled"} 0',
    'torrust_actix_torrents_total 2',
    'torrust_actix_peers_total 2',
  ])
  t.match(await admin.call('GET', '/stats'), {
    status: 200,
    json: {
      torrents: 2,
      seeds: Number,
      peers: Number,
      completed: 0,
      whitelist: 1,
      users: 0,
      tcp4_announces_handled: 1,
      tcp6_announces_handled: 0,
      udp4_connections_handled: 1,
      udp4_announces_handled: 1,
      udp6_announces_handled: 0,
      whitelist_enabled: false,
      started: Number,
      timestamp_run_save: Number,
      timestamp_run_timeout: 0,
      timestamp_run_console: 0,
      timestamp_run_keys_timeout: Number,
      torrents_updates: Number,
      udp_queue_len: Number,
    },
  })
  const names = namesIn(text)
  t.equal(new Set(names).size, names.length, 'each is reported once')
  for (const name of names.filter(name => name.startsWith('muster_')))
    t.ok(name in CATALOGUE, `${name} is in the table`)
  const late = await untilSnapshot(tracker)
  const isLinux = process.platform === 'linux'
  // This tracker has no cache, no receivers of events and no other nodes.
  const configured = Object.keys(CATALOGUE).filter(
    name => !/^muster_(cache|events|nodes)_/.test(name),
  )
  for (const name of configured) {
    if (isLinux || !/_dropped_|_queue_|_connections$/.test(name))
      t.ok(namesIn(late).includes(name), name)
  }
  for (const name of configured) {
    const { help, labels, type }: Metric = CATALOGUE[name as keyof typeof CATALOGUE]
    t.ok(late.includes(`# HELP ${name} ${help}\n# TYPE ${name} ${type}\n`), name)
    const [, used = ''] = new RegExp(`^${name}(?:_bucket)?\\{([^}]*)\\}`, 'm').exec(late) ?? []
    const found = [...used.matchAll(/(\w+)="/g)].map(([, label]) => label)
    t.same(found.filter(label => label !== 'le').sort(), Object.keys(labels).sort(), name)
  }
  const skip = missing('promtool')
  await t.test('promtool complains only about names of the original', { skip }, async t => {
    const { status, stderr } = spawnSync('promtool', ['check', 'metrics'], { input: late })
    t.not(status, 1, 'it can be read')
    const complaints = stderr.toString().trim().split('\n')
    t.same(
      complaints.filter(line => !line.startsWith('torrust_actix_')),
      [],
    )
  })
})

async function untilSnapshot(tracker: Tracker): Promise<string> {
  for (;;) {
    const text = await scrape(tracker)
    if (text.includes('\nmuster_snapshot_bytes ')) return text
    await sleep(200)
  }
}

t.test('the counts of a killed worker stay, and its restart is counted', async t => {
  const { tracker } = await startWithApi(t, { udp_server: [], frontend: { workers: 1 } })
  await getBencoded(tracker.url(), announceTarget(1, 1))
  const one = 'muster_announces_total{proto="http",family="ipv4"} 1'
  const before = await untilLines(t, tracker, [one, 'muster_worker_restarts_total 0'])
  const { pid } = await tracker.line(({ msg }) => msg === 'worker started')
  const lines = tracker.log.length
  process.kill(Number(pid), 'SIGKILL')
  await tracker.line(({ msg }) => msg === 'worker started', lines)
  // The new worker reports its process some time after it listens.
  const types = before.split('\n').filter(line => line.startsWith('# TYPE '))
  const expected = [one, 'muster_worker_restarts_total 1', ...types]
  const after = await untilLines(t, tracker, expected)
  t.same(namesIn(after), namesIn(before))
})

t.test('without workers the primary reports the frontends', async t => {
  const { tracker } = await startWithApi(t, { udp_server: [] })
  await getBencoded(tracker.url(6), announceTarget(1, 1))
  const text = await untilLines(t, tracker, [
    'muster_announces_total{proto="http",family="ipv6"} 1',
    'muster_workers 0',
  ])
  t.match(text, /^muster_process_cpu_seconds_total\{process="primary"\} [0-9.]+$/m)
  t.notMatch(text, 'process="worker-1"')
})
