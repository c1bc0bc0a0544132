import t from 'tap'
import { Samples } from '../../src/metrics/samples.ts'
import { flatStats } from '../../src/metrics/torrust-actix.ts'

const RULES = { whitelist: true, blacklist: false, keys: true }

t.test('Torrust-Actix\u2019s names have the values of muster\u2019s samples', async t => {
  const samples = new Samples()
  samples.add('muster_start_time_seconds', 1000)
  samples.add('muster_peers', 7, { family: 'ipv4' })
  samples.add('muster_peers', 2, { family: 'websocket' })
  samples.add('muster_seeders', 4, { family: 'ipv4' })
  samples.add('muster_announces_total', 10, { proto: 'http', family: 'ipv6' })
  samples.add('muster_announces_total', 11, { proto: 'udp', family: 'ipv6' })
  samples.add('muster_failures_total', 1, { proto: 'http', family: 'ipv6', reason: 'a' })
  samples.add('muster_failures_total', 2, { proto: 'http', family: 'ipv6', reason: 'b' })
  samples.add('muster_failures_total', 4, { proto: 'http', family: 'ipv4', reason: 'b' })
  samples.add('muster_sweep_pass_timestamp_seconds', 50, { thread: 'engine-0' })
  samples.add('muster_sweep_pass_timestamp_seconds', 40, { thread: 'engine-1' })
  t.match(flatStats(samples, RULES, 2000), {
    started: 1000,
    timestamp: 2000,
    timestamp_run_save: 0,
    timestamp_run_timeout: 50,
    seeds: 4,
    peers: 5,
    torrents_updates: 0,
    whitelist_enabled: true,
    blacklist_enabled: false,
    tcp6_announces_handled: 10,
    tcp6_failure: 3,
    tcp6_connections_handled: 13,
    tcp4_failure: 4,
    ws4_failure: 0,
    ws_connections_active: 0,
    ws_auth_failed: 0,
    udp_queue_len: 0,
  })
})
