import t from 'tap'
import type { Engine } from '../../../src/engine/engine.ts'
import { createTables, openEngine } from '../../../src/engine/engine.ts'
import { rounds } from '../../fixtures/rounds.ts'
import { announceTo, clientOf, compactOf, hashOf, SETTINGS } from '../../fixtures/tracker-client.ts'

const infoHash = hashOf(1)
const ASKER = 1_000_000
const TIMES = rounds(5000, 20_000)

/** The picks follow a seed, so that a fair pick passes always or never. */
const DEVIATIONS_MAX = 5

/**
 * An engine whose picks follow a seed, with so many seeders and then so many leechers in one swarm.
 */
function filledEngine(seeders: number, leechers: number): Engine {
  const engine = openEngine(createTables(64 * 2 ** 20), SETTINGS)
  engine.random.state = 20_240_501
  for (let n = 0; n < seeders + leechers; n++)
    announceTo(engine, { infoHash, ...clientOf(n), left: n < seeders ? 0 : 1, numwant: 0 })
  return engine
}

/** How often each client was handed out to a stranger that asks so many times. */
function handOut(
  engine: Engine,
  left: number,
  numwant: number,
  times: number,
): Map<string, number> {
  const counts = new Map<string, number>()
  const recipient = { infoHash, ...clientOf(ASKER), left, numwant }
  for (let n = 0; n < times; n++) {
    const { ipv4 } = announceTo(engine, recipient)
    if (new Set(ipv4).size !== ipv4.length) throw new Error('a peer twice in one answer')
    for (const peer of ipv4) counts.set(peer, (counts.get(peer) ?? 0) + 1)
  }
  return counts
}

/**
 * Standard deviations that Pearson's chi-square of the counts is off from what fair picks give. An
 * answer is a run of neighbours, so the counts of neighbours hang together: those of every
 * `stride`th client are compared, which is at least the length of a run.
 */
function deviations(counts: readonly number[], expected: number, stride: number): number {
  const apart = counts.filter((_, n) => n % stride === 0)
  const chiSquare = apart.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0)
  return (chiSquare - (apart.length - 1)) / Math.sqrt(2 * (apart.length - 1))
}

/** Counts of the clients from `first` on, in the order in which they were entered. */
function countsOf(counts: ReadonlyMap<string, number>, first: number, count: number): number[] {
  return Array.from({ length: count }, (_, n) => counts.get(compactOf(clientOf(first + n))) ?? 0)
}

// One block, whole segments of 512, and lists whose last segment is nearly empty or nearly full.
for (const seeders of [300, 1024, 1537, 5119]) {
  t.test(`every one of ${seeders} seeders is handed out equally often`, async t => {
    const [numwant, times] = [50, TIMES]
    const counts = countsOf(handOut(filledEngine(seeders, 0), 1, numwant, times), 0, seeders)
    const expected = (numwant * times) / seeders
    t.ok(
      counts.every(count => Math.abs(count - expected) < 6 * Math.sqrt(expected)),
      `from ${Math.min(...counts)} to ${Math.max(...counts)}, ${expected.toFixed(0)} expected`,
    )
    const off = deviations(counts, expected, numwant)
    t.ok(Math.abs(off) < DEVIATIONS_MAX, `chi-square is ${off.toFixed(2)} deviations off`)
  })
}

t.test('a leecher gets three seeders for each leecher, each of them equally often', async t => {
  const [seeders, leechers, numwant, times] = [700, 1400, 40, TIMES]
  const counts = handOut(filledEngine(seeders, leechers), 1, numwant, times)
  for (const [first, count, share] of [
    [0, seeders, 0.75],
    [seeders, leechers, 0.25],
  ] as const) {
    const own = countsOf(counts, first, count)
    const handed = own.reduce((sum, one) => sum + one, 0)
    t.equal(handed, numwant * share * times)
    const off = deviations(own, handed / count, numwant * share)
    t.ok(Math.abs(off) < DEVIATIONS_MAX, `chi-square is ${off.toFixed(2)} deviations off`)
  }
})

t.test('a seeder gets every leecher equally often, and no seeder', async t => {
  const [seeders, leechers, numwant, times] = [600, 1100, 30, TIMES]
  const counts = handOut(filledEngine(seeders, leechers), 0, numwant, times)
  t.equal(counts.size, leechers)
  const off = deviations(countsOf(counts, seeders, leechers), (numwant * times) / leechers, numwant)
  t.ok(Math.abs(off) < DEVIATIONS_MAX, `chi-square is ${off.toFixed(2)} deviations off`)
})

t.test('a peer of the list gets all others equally often, and never itself', async t => {
  const [leechers, numwant, times] = [1300, 50, TIMES]
  const engine = filledEngine(0, leechers)
  const counts = new Map<string, number>()
  const recipient = { infoHash, ...clientOf(600), left: 1, numwant }
  for (let n = 0; n < times; n++)
    for (const peer of announceTo(engine, recipient).ipv4)
      counts.set(peer, (counts.get(peer) ?? 0) + 1)
  t.notOk(counts.has(compactOf(recipient)))
  const others = countsOf(counts, 0, leechers).filter((_, n) => n !== 600)
  const off = deviations(others, (numwant * times) / (leechers - 1), numwant)
  t.ok(Math.abs(off) < DEVIATIONS_MAX, `chi-square is ${off.toFixed(2)} deviations off`)
})
