import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { MessageChannel, Worker } from 'node:worker_threads'
import t, { type Test } from 'tap'
import { createLink, type Transport, type TransportEvents } from '../../src/link/client.ts'
import { FRAME_HEADER_BYTES, FRAME_RECORDS } from '../../src/link/frame.ts'
import type { Link } from '../../src/link/link.ts'
import { connectPortLink } from '../../src/link/port.ts'
import { answerFrame, createReplies } from '../../src/link/server.ts'
import { connectSocketLink } from '../../src/link/socket.ts'
import { bytesOf } from '../../src/protocol/bytes.ts'
import { Failure } from '../../src/protocol/failures.ts'
import { REQUESTS_WAITING_MAX } from '../../src/protocol/limits.ts'
import { threadUrl } from '../../src/thread-url.ts'
import { ask, echoAnswer, echoBytesMax, submit } from '../fixtures/link-requests.ts'

/** A transport in the test's own hands. */
function heldTransport(): {
  link: Link
  sent: Uint8Array[]
  events: TransportEvents
  answer(n: number): void
} {
  const sent: Uint8Array<ArrayBuffer>[] = []
  let events: TransportEvents | undefined
  const transport: Transport = { send: frame => sent.push(frame.slice()), reset() {}, close() {} }
  const link = createLink(given => {
    events = given
    return transport
  })
  if (!events) throw new Error('the link did not connect')
  const linkEvents = events
  linkEvents.up()
  return {
    link,
    sent,
    events: linkEvents,
    answer(n) {
      const frame = sent[n]
      if (!frame) throw new Error(`no frame ${n}`)
      const reply = answerFrame(
        bytesOf(frame),
        0,
        frame.length,
        createReplies(echoAnswer, echoBytesMax),
      )
      if (reply && !linkEvents.frame(bytesOf(reply), 0, reply.length)) throw new Error('refused')
    },
  }
}

const turn = () => new Promise(resolve => setImmediate(resolve))
const records = (frame: Uint8Array | undefined) =>
  frame ? bytesOf(frame).view.getUint32(FRAME_RECORDS, true) : 0

t.test('the requests of one turn travel in one frame', async t => {
  const { link, sent, answer } = heldTransport()
  t.teardown(() => link.close())
  const asked = Promise.all([ask(link, 1), ask(link, 2), ask(link, 3)])
  t.equal(sent.length, 0)
  await turn()
  t.same(sent.map(records), [3])
  answer(0)
  t.same(await asked, [1, 2, 3])
  t.equal(link.waiting, 0)
})

t.test('at most two frames are in flight; later requests join the next one', async t => {
  const { link, sent, answer } = heldTransport()
  t.teardown(() => link.close())
  const asked: Promise<number>[] = []
  for (let n = 0; n < 10; n++) {
    asked.push(ask(link, n))
    await turn()
  }
  t.same(sent.map(records), [1, 1])
  answer(1)
  t.same(sent.map(records), [1, 1, 8])
  answer(0)
  answer(2)
  t.same(await Promise.all(asked), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
})

t.test('a broken link fails each waiting request once, and ignores late replies', async t => {
  const { link, sent, events, answer } = heldTransport()
  t.teardown(() => link.close())
  const failures: number[] = []
  const waiter = { reply: () => t.fail('a reply'), fail: (code: Failure) => failures.push(code) }
  for (let n = 0; n < 5; n++) submit(link, n, waiter)
  await turn()
  submit(link, 5, waiter)
  events.down()
  t.same(failures, Array(6).fill(Failure.unavailable))
  t.equal(link.waiting, 0)
  t.equal(link.reserve(96), -1, 'nothing is taken while it is down')
  events.up()
  const asked = ask(link, 77)
  await turn()
  t.throws(() => answer(0), 'the old frame’s reply is refused')
  answer(sent.length - 1)
  t.equal(await asked, 77)
})

t.test('the number of waiting requests is bounded', async t => {
  const { link, events } = heldTransport()
  t.teardown(() => link.close())
  let failed = 0
  const waiter = { reply() {}, fail: () => failed++ }
  let taken = 0
  while (submit(link, taken, waiter)) taken++
  t.equal(taken, REQUESTS_WAITING_MAX)
  events.down()
  t.equal(failed, REQUESTS_WAITING_MAX)
  events.up()
  t.ok(submit(link, 1, waiter))
})

t.test('a malformed reply is refused', async t => {
  const { link, sent, events } = heldTransport()
  t.teardown(() => link.close())
  ask(link, 1).catch(() => {})
  await turn()
  const frame = bytesOf(new Uint8Array(sent[0] ?? []))
  frame.view.setUint32(FRAME_HEADER_BYTES, 5, true)
  t.notOk(events.frame(frame, 0, frame.u8.length))
})

/** Links of each kind to an engine thread of the test's. */
const KINDS: Record<string, (t: Test) => Promise<{ links: Link[]; worker: Worker }>> = {
  'a MessagePort': async t => {
    const { port1, port2 } = new MessageChannel()
    const worker = new Worker(threadUrl('../fixtures/link-server-thread', import.meta.url), {
      workerData: { port: port2 },
      transferList: [port2],
    })
    t.teardown(() => worker.terminate())
    await once(worker, 'message')
    return { worker, links: [connectPortLink(port1)] }
  },
  'a Unix socket': async t => {
    const folder = mkdtempSync(join(tmpdir(), 'muster-test-'))
    t.teardown(() => rmSync(folder, { recursive: true, force: true }))
    const path = join(folder, 'engine.sock')
    const worker = new Worker(threadUrl('../fixtures/link-server-thread', import.meta.url), {
      workerData: { path },
    })
    t.teardown(() => worker.terminate())
    await once(worker, 'message')
    return { worker, links: [1, 2, 3].map(() => connectSocketLink(path)) }
  },
}

for (const [kind, connect] of Object.entries(KINDS)) {
  t.test(`100,000 requests over ${kind} get each its own reply`, async t => {
    const { links } = await connect(t)
    for (const link of links) t.teardown(() => link.close())
    await Promise.all(links.map(link => link.whenUp()))
    const perLink = Math.ceil(100_000 / links.length)
    let wrong = 0
    await Promise.all(
      links.map(async (link, number) => {
        for (let n = 0; n < perLink; n += 500) {
          const asked = Array.from({ length: 500 }, (_, k) => number * 1_000_000 + n + k)
          const got = await Promise.all(asked.map(value => ask(link, value)))
          if (got.join() !== asked.join()) wrong++
        }
      }),
    )
    t.equal(wrong, 0)
    t.same(
      links.map(({ waiting }) => waiting),
      links.map(() => 0),
    )
  })
}
