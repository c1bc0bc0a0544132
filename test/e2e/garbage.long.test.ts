import { randomBytes } from 'node:crypto'
import t from 'tap'
import { RawConnection } from '../fixtures/http-client.ts'
import { announceTarget } from '../fixtures/load.ts'
import { residentMib } from '../fixtures/resident-memory.ts'
import { testSeed } from '../fixtures/seed.ts'
import { seededRandom } from '../fixtures/seeded-random.ts'
import { startTracker } from '../fixtures/start-tracker.ts'

/** Creates a malformed request line. */
function oddRequest(random: (bound: number) => number): string | Uint8Array {
  const target = announceTarget(random(1000), random(10))
  const cut = random(target.length)
  const kinds: (() => string | Uint8Array)[] = [
    () => `GET ${target.slice(0, cut)} HTTP/1.1\r\nhost: x\r\n\r\n`,
    () => `GET ${target.slice(0, cut)}%${target.slice(cut)} HTTP/1.1\r\nhost: x\r\n\r\n`,
    () => `GET ${target}&${target.slice(cut)} HTTP/1.1\r\nhost: x\r\n\r\n`,
    () => `GET /announce?${'x'.repeat(random(12_000))} HTTP/1.1\r\nhost: x\r\n\r\n`,
    () => `GET /scrape?${'info_hash=%00&'.repeat(random(300))} HTTP/1.1\r\nhost: x\r\n\r\n`,
    () => `POST ${target} HTTP/1.1\r\nhost: x\r\ncontent-length: ${random(100)}\r\n\r\nabc`,
    () => `${randomBytes(4).toString('hex')} ${target} HTTP/1.1\r\nhost: x\r\n\r\n`,
    () => `GET ${target} HTTP/${random(9)}.${random(9)}\r\n${'a: b\r\n'.repeat(random(200))}\r\n`,
    () =>
      `GET ${target.replace('left=', `left=${'9'.repeat(random(50))}-`)} HTTP/1.1\r\nhost: x\r\n\r\n`,
    () => randomBytes(1 + random(500)),
    () =>
      Buffer.concat([
        Buffer.from(`GET ${target.slice(0, cut)}`),
        randomBytes(30),
        Buffer.from(' HTTP/1.1\r\nhost: x\r\n\r\n'),
      ]),
  ]
  const kind = kinds[random(kinds.length)]
  return kind ? kind() : ''
}

t.test(
  'thousands of malformed requests cause no crash, no log line and no memory growth',
  async t => {
    const seed = testSeed(t)
    const random = seededRandom(seed)
    const tracker = await startTracker(t, { udp_server: [], frontend: { workers: 1 } })
    const port = tracker.port('http', '127.0.0.1')
    const worker = Number((await tracker.line(({ msg }) => msg === 'worker started'))['pid'])
    const round = async (count: number) => {
      for (let n = 0; n < count; n += 20) {
        await Promise.all(
          Array.from({ length: 20 }, async () => {
            const connection = await RawConnection.open(port)
            connection.write(oddRequest(random))
            // The server waits for the rest of a partial request. Closing the sending side ends
            // both cases.
            connection.end()
            await connection.ended()
          }),
        )
      }
    }
    await round(1000)
    const before = residentMib(worker)
    await round(2000)
    const growth = residentMib(worker) - before
    t.ok(growth < 30, `${growth.toFixed(1)} MiB more`)
    const good = await RawConnection.open(port)
    t.match((await good.get(announceTarget(1, 1)))?.body.toString('latin1'), /^d8:complete/)
    good.destroy()
    t.same(tracker.warnings(), [], 'nothing to warn about')
    t.equal(await tracker.stop(), 0)
  },
)
