import t from 'tap'
import { AwaitedOffers, offerCost } from '../../../src/frontends/websocket/awaited-offers.ts'
import type { WebsocketLimits } from '../../../src/frontends/websocket/limits.ts'
import { WEBSOCKET_LIMITS } from '../../fixtures/websocket-limits.ts'

const HASH = 'h'.repeat(20)

/** Offers to one socket that has announced `torrents`. */
function inbox(limits: Partial<WebsocketLimits> = {}, torrents = 1) {
  const offers = new AwaitedOffers()
  const all = { ...WEBSOCKET_LIMITS, ...limits }
  const originOf = (socket: number, address: string, offerId: string) => ({
    worker: 1,
    socket,
    address,
    offerId,
    peerId: `peer ${socket}`,
  })
  return {
    offers,
    admit: (socket: number, address: string, offerId: string, now = 0, cost = 1) =>
      offers.admit(HASH, originOf(socket, address, offerId), { cost, torrents, now }, all),
    answer: (socket: number, offerId: string) => offers.take(HASH, `peer ${socket}`, offerId),
  }
}

t.test('an offer is answered once, and only while it is awaited', async t => {
  const { admit, answer, offers } = inbox({ offerTime: 60 })
  t.ok(admit(1, 'a', 'x'))
  t.match(answer(1, 'x'), { worker: 1, socket: 1, offerId: 'x' })
  t.equal(answer(1, 'x'), undefined)
  t.ok(admit(1, 'a', 'y', 10))
  offers.expire(69, 60)
  t.ok(answer(1, 'y'))
  t.ok(admit(1, 'a', 'z', 100))
  offers.expire(160, 60)
  t.equal(answer(1, 'z'), undefined)
})

t.test('a maker has a rate, which grows with the torrents of the receiver', async t => {
  for (const [torrents, expected] of [
    [0, 16],
    [1, 16],
    [3, 48],
    [1000, 256],
  ] as const) {
    const { admit } = inbox({ offersToPeerPerAddress: { burst: 1e6, perSecond: 1 } }, torrents)
    let admitted = 0
    for (let n = 0; n < 1000; n++) if (admit(1, 'a', `${n}`)) admitted++
    t.equal(admitted, expected, `${torrents} torrents`)
    t.ok(admit(2, 'a', 'other'), 'another maker has its own')
    t.ok(admit(1, 'a', 'later', 2))
  }
})

t.test('an address has a rate, but each of its makers can send a few', async t => {
  const { admit } = inbox({ offersToPeerPerAddress: { burst: 10, perSecond: 1 } })
  let admitted = 0
  for (let n = 0; n < 10; n++) if (admit(1, 'a', `${n}`)) admitted++
  t.equal(admitted, 10)
  t.ok(admit(2, 'a', 'first of another maker'))
  t.ok(admit(3, 'b', 'another address'))
})

t.test(
  'where too many answers are awaited, the largest maker of the largest address loses',
  async t => {
    const { admit, answer } = inbox({ offersAwaited: 20 })
    t.ok(admit(1, 'honest', 'first'))
    t.ok(admit(2, 'evil', 'small maker'))
    for (let n = 0; n < 16; n++) admit(3, 'evil', `${n}`)
    for (let n = 0; n < 16; n++) admit(4, 'evil', `${n}`)
    t.ok(answer(1, 'first'))
    t.ok(answer(2, 'small maker'))
    t.equal(answer(3, '0'), undefined, 'the oldest')
  },
)

t.test('an offer costs more the larger it is', async t => {
  t.equal(offerCost(''), 1)
  t.equal(offerCost('x'.repeat(4095)), 1)
  t.equal(offerCost('x'.repeat(4096)), 2)
  t.equal(offerCost('x'.repeat(16_384)), 5)
})
