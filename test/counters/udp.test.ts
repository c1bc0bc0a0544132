import t from 'tap'
import {
  count,
  createUdpCounters,
  readCount,
  sumUdpCounters,
  UDP_COUNTERS_PER_FAMILY,
  UdpCounter,
} from '../../src/counters/udp.ts'
import { Family } from '../../src/protocol/records.ts'

t.test('every outcome is counted on its own, for each family', async t => {
  const counters = createUdpCounters()
  const all = Object.values(UdpCounter)
  for (const family of [Family.ipv4, Family.ipv6]) {
    for (const counter of all) count(counters, family, counter, 1 + counter + family * 100)
  }
  for (const family of [Family.ipv4, Family.ipv6]) {
    for (const counter of all) {
      t.equal(readCount(counters, family, counter), 1 + counter + family * 100)
    }
  }
  t.ok(Math.max(...all) < UDP_COUNTERS_PER_FAMILY)
})

t.test('a count exceeds 2^32', async t => {
  const counters = createUdpCounters()
  count(counters, Family.ipv4, UdpCounter.received, 2 ** 32)
  count(counters, Family.ipv4, UdpCounter.received, 1)
  t.equal(readCount(counters, Family.ipv4, UdpCounter.received), 2 ** 32 + 1)
})

t.test('the counts of several threads are added up', async t => {
  const threads = [createUdpCounters(), createUdpCounters()]
  for (const [n, counters] of threads.entries()) {
    count(counters, Family.ipv4, UdpCounter.announce, 10 + n)
    count(counters, Family.ipv6, UdpCounter.garbage, 100 + n)
  }
  const sums = sumUdpCounters(threads)
  t.match(sums, { announce: [21, 0], garbage: [0, 201], received: [0, 0] })
  t.same(Object.keys(sums), Object.keys(UdpCounter))
})
