import t from 'tap'
import {
  clearFrame,
  createFrame,
  createFrameReader,
  FRAME_HEADER_BYTES,
  frameLength,
  isRequest,
  recordLength,
  reserveBytes,
  sealFrame,
} from '../../src/link/frame.ts'
import { allocate, bytesOf } from '../../src/protocol/bytes.ts'
import { FRAME_BYTES_MAX } from '../../src/protocol/limits.ts'
import {
  ANNOUNCE_BYTES,
  FAMILY,
  Family,
  HASH_BYTES,
  HASH_COUNT,
  KIND,
  Kind,
  LENGTH,
  SCRAPE_REQUEST_HEADER_BYTES,
  WEBSOCKET_ANNOUNCE_BYTES,
} from '../../src/protocol/records.ts'
import { seededRandom } from '../fixtures/seeded-random.ts'

function frameOf(records: readonly number[], sequence = 1): Uint8Array<ArrayBuffer> {
  const frame = createFrame()
  for (const bytes of records) {
    if (!reserveBytes(frame, bytes)) throw new Error('no room')
    frame.bytes.view.setUint32(frame.end + LENGTH, bytes, true)
    frame.end += bytes
    frame.records++
  }
  return sealFrame(frame, sequence).slice()
}

t.test('a stream cut anywhere gives the same frames', async t => {
  const frames = [frameOf([96, 96]), frameOf([]), frameOf([16, 200, 40_000]), frameOf([32])]
  const stream = new Uint8Array(Buffer.concat(frames))
  const random = seededRandom(7)
  for (let round = 0; round < 200; round++) {
    const lengths: number[] = []
    const reader = createFrameReader((_, __, length) => {
      lengths.push(length)
      return true
    })
    for (let at = 0; at < stream.length; ) {
      const end = Math.min(stream.length, at + 1 + random(round < 20 ? 20 : 30_000))
      if (!reader.push(stream.slice(at, end))) t.fail('refused')
      at = end
    }
    if (lengths.join() !== frames.map(({ length }) => length).join())
      t.fail(`round ${round}: ${lengths}`)
  }
})

t.test('a malformed frame is always refused', async t => {
  const random = seededRandom(Date.now())
  for (let round = 0; round < 2000; round++) {
    const junk = Uint8Array.from({ length: FRAME_HEADER_BYTES + random(100) }, () => random(256))
    const reader = createFrameReader(() => true)
    if (reader.push(junk)) t.fail(`taken: ${Buffer.from(junk).toString('hex')}`)
  }
  const tooLong = frameOf([16])
  new DataView(tooLong.buffer).setUint32(4, FRAME_BYTES_MAX + 1, true)
  t.equal(frameLength(new DataView(tooLong.buffer), 0), -1)
})

t.test('a record must lie in its frame and be as long as its kind needs', async t => {
  const bytes = bytesOf(frameOf([ANNOUNCE_BYTES]))
  const end = bytes.u8.length
  t.equal(recordLength(bytes.view, FRAME_HEADER_BYTES, end), ANNOUNCE_BYTES)
  for (const length of [0, 15, ANNOUNCE_BYTES + 1, 2 ** 32 - 1]) {
    bytes.view.setUint32(FRAME_HEADER_BYTES + LENGTH, length, true)
    t.equal(recordLength(bytes.view, FRAME_HEADER_BYTES, end), -1, `${length} bytes`)
  }
  const request = allocate(ANNOUNCE_BYTES)
  t.notOk(isRequest(request, 0, ANNOUNCE_BYTES), 'no kind')
  request.u8[KIND] = Kind.announce
  t.ok(isRequest(request, 0, ANNOUNCE_BYTES))
  t.notOk(isRequest(request, 0, ANNOUNCE_BYTES - 1))
  request.u8[KIND] = Kind.leave
  t.ok(isRequest(request, 0, ANNOUNCE_BYTES))
  t.notOk(isRequest(request, 0, ANNOUNCE_BYTES - 1))
  request.u8[KIND] = Kind.announce
  request.u8[FAMILY] = Family.websocket
  t.ok(isRequest(request, 0, WEBSOCKET_ANNOUNCE_BYTES))
  t.notOk(isRequest(request, 0, WEBSOCKET_ANNOUNCE_BYTES - 1))
  request.u8[KIND] = Kind.scrape
  request.view.setUint16(HASH_COUNT, 4, true)
  const scrapeBytes = SCRAPE_REQUEST_HEADER_BYTES + 4 * HASH_BYTES
  t.ok(isRequest(request, 0, scrapeBytes))
  t.notOk(isRequest(request, 0, scrapeBytes - 1))
})

t.test('a frame grows up to its maximum and keeps its records', async t => {
  const frame = createFrame()
  frame.bytes.u8[FRAME_HEADER_BYTES] = 42
  frame.end = FRAME_HEADER_BYTES + 1
  t.ok(reserveBytes(frame, 1_000_000))
  t.equal(frame.bytes.u8[FRAME_HEADER_BYTES], 42)
  t.notOk(reserveBytes(frame, FRAME_BYTES_MAX))
  clearFrame(frame)
  t.equal(frame.end, FRAME_HEADER_BYTES)
})
