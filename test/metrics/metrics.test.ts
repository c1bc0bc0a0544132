import { execFileSync, spawnSync } from 'node:child_process'
import t from 'tap'
import { openUdpClient } from '../e2e/fixtures/udp-client.ts'
import { startWithApi, TOKEN } from '../fixtures/admin-client.ts'
import { getBencoded } from '../fixtures/http-client.ts'
import { announceTarget } from '../fixtures/load.ts'

function hasPromtool(): boolean {
  try {
    execFileSync('promtool', ['--version'], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

t.test('metrics and stats tell what was announced, by the names of Torrust-Actix', async t => {
  const { tracker, admin } = await startWithApi(t, { frontend: { workers: 1 } })
  await getBencoded(tracker.url(), announceTarget(1, 1))
  const client = await openUdpClient(t, '127.0.0.1', tracker.port('udp', '127.0.0.1'))
  await client.announce({ port: 1024 })
  await admin.call('POST', `/api/whitelist/${'a'.repeat(40)}`)
  let stats = await admin.call('GET', '/stats')
  // The worker tells what it counted once a second.
  while (stats.json['tcp4_announces_handled'] === 0) stats = await admin.call('GET', '/stats')
  t.match(stats, {
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
    },
  })
  const answer = await fetch(`http://127.0.0.1:${tracker.port('api')}/metrics`, {
    headers: { authorization: `Bearer ${TOKEN}` },
  })
  const text = await answer.text()
  t.match(answer.headers.get('content-type'), /^text\/plain; version=0\.0\.4/)
  for (const line of [
    'torrust_actix_gauge{metric="torrents"} 2',
    'torrust_actix_gauge{metric="whitelist"} 1',
    'torrust_actix_counter{metric="tcp4_announces_handled"} 1',
    'torrust_actix_counter{metric="udp4_announces_handled"} 1',
    'torrust_actix_torrents_total 2',
    'torrust_actix_peers_total 2',
    'muster_database_up 1',
    'muster_peers_gone_total{reason="evicted"} 0',
    'muster_limited_announces_total{limit="peers_per_address"} 0',
  ])
    t.ok(text.includes(`\n${line}\n`), line)
  for (const [, name] of text.matchAll(/^# TYPE (\S+)/gm)) {
    const told = text.split(`# TYPE ${name} `).length - 1
    if (told !== 1) t.fail(`${name} is told of ${told} times`)
  }
  const skip = hasPromtool() ? false : 'promtool is not installed'
  await t.test('promtool has nothing against it but names of the original', { skip }, async t => {
    const { status, stderr } = spawnSync('promtool', ['check', 'metrics'], { input: text })
    t.not(status, 1, 'it can be read')
    const complaints = stderr.toString().trim().split('\n')
    t.same(
      complaints.filter(line => !line.startsWith('torrust_actix_')),
      [],
    )
  })
})
