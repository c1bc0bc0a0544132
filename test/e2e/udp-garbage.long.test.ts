import { readFileSync } from 'node:fs'
import t, { type Test } from 'tap'
import { UDP_REQUEST_BYTES_MAX } from '../../src/protocol/udp/packet.ts'
import { residentMib } from '../fixtures/resident-memory.ts'
import { testSeed } from '../fixtures/seed.ts'
import { seededRandom } from '../fixtures/seeded-random.ts'
import { startTracker, type Tracker } from '../fixtures/start-tracker.ts'
import { type Sender, senderFor } from '../frontends/udp/fixtures/sender.ts'
import { openUdpClient, type UdpClient } from './fixtures/udp-client.ts'
import { createGarbage, REQUEST_KINDS } from './fixtures/udp-requests.ts'

/** Small enough for every receive buffer, so that no datagram is lost. */
const BURST = 64
const GROWTH_MIB_MAX = 32
const UNPROVEN_ID = Buffer.from('fedcba9876543210', 'hex')

/** Target of the garbage and the client that is served meanwhile. */
type Target = {
  readonly family: 4 | 6
  readonly port: number
  readonly client: UdpClient
  readonly proven: Sender
  readonly unproven: Sender
}

async function targetsOf(t: Test, tracker: Tracker): Promise<Target[]> {
  const targets: Target[] = []
  for (const [family, host] of [
    [4, '127.0.0.1'],
    [6, '::1'],
  ] as const) {
    const port = tracker.port('udp', host)
    const [proven, unproven] = [0, 1].map(() => senderFor(t, host, port, BURST)) as [Sender, Sender]
    targets.push({ family, port, client: await openUdpClient(t, host, port), proven, unproven })
  }
  return targets
}

/**
 * Sends the datagrams, lets the client announce, and reads the answers. The tracker answers in
 * order, so it has received all earlier datagrams when the client has its answer.
 */
async function burst(
  { client }: Target,
  sender: Sender,
  read: (reply: Buffer) => void,
): Promise<number> {
  const sent = sender.flush()
  await client.announce()
  while (sender.take(read) > 0);
  return sent
}

/** Sends every length of every request, and checks the exact answers. */
async function sendTruncations(t: Test, target: Target): Promise<void> {
  for (const [sender, id] of [
    [target.proven, await target.client.connectionId()],
    [target.unproven, UNPROVEN_ID],
  ] as const) {
    for (const kind of REQUEST_KINDS) {
      const whole = kind.make(id, 0)
      const expected = new Map<number, number>()
      const answers = new Map<number, number>()
      let larger = 0
      const read = (reply: Buffer): void => {
        answers.set(reply.readUInt32BE(4), reply.readUInt32BE(0))
        if (reply.length > reply.readUInt32BE(4)) larger++
      }
      for (let length = 0; length <= whole.length; length++) {
        sender.add(kind.make(id, length).subarray(0, length))
        const answer = kind.answer(length)
        const proven = sender === target.proven || kind.name === 'connect'
        if (answer !== undefined && proven) expected.set(length, answer)
        if (length % BURST === BURST - 1 || length === whole.length)
          await burst(target, sender, read)
      }
      const how = `IPv${target.family}, ${kind.name}${id === UNPROVEN_ID ? ', unproven' : ''}`
      t.same([...answers], [...expected], how)
      if (sender === target.unproven) t.equal(larger, 0, 'no answer is larger than its request')
    }
  }
}

/** Describes the fault of a reply to a request of one of these lengths, or returns undefined. */
function fault(reply: Buffer, lengths: readonly number[], target: Target): string | undefined {
  if (lengths.length === 0) return 'an answer without a request'
  const peers = reply.length - 20
  switch (reply.readUInt32BE(0)) {
    case 0:
      return reply.length === 16 ? undefined : 'a connect answer of a wrong length'
    case 1:
      return peers >= 0 && peers % (target.family === 4 ? 6 : 18) === 0 ? undefined : 'torn peers'
    case 2:
      // Bytes after the hashes that are valid options (BEP 41) do not get entries.
      return (reply.length - 8) % 12 === 0 &&
        lengths.some(bytes => reply.length <= 8 + Math.floor((bytes - 16) / 20) * 12)
        ? undefined
        : 'torn entries'
    case 3:
      return /^[a-z_ -]+$/.test(reply.toString('latin1', 8)) ? undefined : 'no readable error'
    default:
      return 'an unknown action'
  }
}

/** Sends bursts of garbage to every target in turn, with and without a valid connection id. */
async function sendGarbage(
  targets: readonly Target[],
  random: (bound: number) => number,
  bursts: number,
): Promise<{ sent: number; answers: number; faults: string[] }> {
  const faults: string[] = []
  // Lengths by transaction id. A mutated id may equal another one.
  const requests = new Map<number, number[]>()
  const done = { sent: 0, answers: 0, faults }
  for (let round = 0; round < bursts; ) {
    for (const target of targets) {
      const ids = [await target.client.connectionId(), UNPROVEN_ID] as const
      for (const sender of [target.proven, target.unproven]) {
        const unproven = sender === target.unproven
        const garbage = createGarbage(random, ids[unproven ? 1 : 0])
        // Several bursts share one pool of random bytes.
        for (let n = 0; n < 64 && round < bursts; n++, round++) {
          requests.clear()
          for (let k = 0; k < BURST; k++) {
            const bytes = garbage()
            sender.add(bytes)
            if (bytes.length < 16) continue
            const id = bytes.readUInt32BE(12)
            requests.set(id, [...(requests.get(id) ?? []), bytes.length])
          }
          done.sent += await burst(target, sender, reply => {
            done.answers++
            const lengths = requests.get(reply.readUInt32BE(4)) ?? []
            const wrong = fault(reply, lengths, target)
            if (wrong) faults.push(`${wrong}: ${reply.toString('hex')}`)
            if (unproven && (reply.readUInt32BE(0) !== 0 || reply.length > Math.max(...lengths)))
              faults.push(`unproven requests of ${lengths} bytes got ${reply.toString('hex')}`)
          })
        }
      }
    }
  }
  return done
}

/** Datagrams that the kernel dropped because the receive buffer was full. */
function dropped({ family, port }: Target): number {
  const table = readFileSync(family === 4 ? '/proc/net/udp' : '/proc/net/udp6', 'utf8')
  const local = `:${port.toString(16).toUpperCase().padStart(4, '0')}`
  return table
    .split('\n')
    .map(line => line.trim().split(/\s+/))
    .filter(([, address]) => address?.endsWith(local))
    .reduce((sum, fields) => sum + Number(fields.at(-1)), 0)
}

for (const [method, datagrams] of [
  ['recvmmsg', 1_000_000],
  ['dgram', 100_000],
] as const) {
  t.test(`${method}: ${datagrams} malformed datagrams change nothing`, async t => {
    const seed = testSeed(t)
    const random = seededRandom(seed)
    const tracker = await startTracker(t, {
      udp_server: ['127.0.0.1:0', '[::1]:0'].map(bind_address => ({
        bind_address,
        receive_method: method,
      })),
      frontend: { workers: 0 },
    })
    const targets = await targetsOf(t, tracker)
    for (const target of targets) await sendTruncations(t, target)

    const bursts = Math.ceil(datagrams / BURST)
    // Until the garbage collector's heap has its size.
    const warmBursts = Math.ceil(bursts / 2)
    const warm = await sendGarbage(targets, random, warmBursts)
    const before = residentMib(tracker.pid)
    const rest = await sendGarbage(targets, random, bursts - warmBursts)
    const growth = residentMib(tracker.pid) - before

    const sent = warm.sent + rest.sent
    t.equal(sent, bursts * BURST)
    t.same([...warm.faults, ...rest.faults].slice(0, 10), [])
    t.ok(warm.answers + rest.answers > datagrams / 100, 'some of it was well-formed')
    const lost = targets.reduce((sum, target) => sum + dropped(target), 0)
    t.ok(lost < datagrams / 100, `${lost} of ${sent} were not received`)
    t.ok(growth < GROWTH_MIB_MAX, `${growth.toFixed(1)} MiB more than ${before.toFixed(0)}`)
    for (const { client } of targets) {
      t.match(await client.announce(), { leechers: Number })
      t.comment(`${client.repeats} announces had to be repeated`)
    }
    t.same(tracker.warnings(), [], 'nothing to warn about')
    t.equal(await tracker.stop(), 0)
    t.equal(tracker.stderr(), '')
    t.comment(JSON.stringify(tracker.log.find(({ msg }) => msg === 'stopped')))
  })
}

t.test('garbage includes datagrams longer than any request', async t => {
  const garbage = createGarbage(seededRandom(1), UNPROVEN_ID)
  const lengths = Array.from({ length: 1000 }, () => garbage().length)
  t.ok(lengths.some(length => length > UDP_REQUEST_BYTES_MAX))
  t.ok(lengths.includes(0) || Math.min(...lengths) < 16)
})
