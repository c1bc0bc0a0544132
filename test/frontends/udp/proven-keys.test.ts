import t from 'tap'
import {
  createProvenKeys,
  entryOfAddress,
  openProvenKeys,
  recallKeys,
  storeKeys,
} from '../../../src/frontends/udp/proven-keys.ts'
import { allocate, bytesOf } from '../../../src/protocol/bytes.ts'
import {
  ANNOUNCE_BYTES,
  KEY,
  SCRAPE_KEY,
  SCRAPE_REQUEST_HEADER_BYTES,
  SCRAPE_USER_KEY,
  USER_KEY,
} from '../../../src/protocol/records.ts'
import { createConnectionSecret } from '../../../src/protocol/udp/connection-id.ts'

const SCRAPE_AT = 8

t.test('an address has the keys that it announced with last, on every thread', async t => {
  const secret = createConnectionSecret()
  const memory = createProvenKeys()
  const [first, second] = [openProvenKeys(memory, secret), openProvenKeys(memory, secret)]
  const record = allocate(ANNOUNCE_BYTES)
  const scrape = allocate(SCRAPE_AT + SCRAPE_REQUEST_HEADER_BYTES)
  const addresses = [
    Buffer.of(192, 0, 2, 1),
    Buffer.of(192, 0, 2, 2),
    Buffer.from('20010db8000000000000000000000001', 'hex'),
  ].map(bytes => ({ view: bytesOf(bytes).view, at: 0, bytes: bytes.length }))
  const recall = (n: number) => {
    const address = addresses[n] as (typeof addresses)[0]
    if (!recallKeys(second, address, scrape, SCRAPE_AT)) return undefined
    const at = (offset: number) =>
      Buffer.from(scrape.u8).toString('hex', SCRAPE_AT + offset, SCRAPE_AT + offset + 20)
    return [at(SCRAPE_KEY), at(SCRAPE_USER_KEY)]
  }
  const store = (n: number, key: number, userKey: number) => {
    const address = addresses[n] as (typeof addresses)[0]
    record.u8.fill(key, KEY, KEY + 20)
    record.u8.fill(userKey, USER_KEY, USER_KEY + 20)
    storeKeys(first, entryOfAddress(first, address), record)
  }
  t.same([0, 1, 2].map(recall), [undefined, undefined, undefined])
  store(0, 1, 2)
  store(2, 3, 4)
  t.same([0, 1, 2].map(recall), [
    ['01'.repeat(20), '02'.repeat(20)],
    undefined,
    ['03'.repeat(20), '04'.repeat(20)],
  ])
  store(0, 5, 6)
  t.same(recall(0), ['05'.repeat(20), '06'.repeat(20)])
})

t.test('another secret knows no address', async t => {
  const memory = createProvenKeys()
  const address = { view: bytesOf(Buffer.of(192, 0, 2, 1)).view, at: 0, bytes: 4 }
  const own = openProvenKeys(memory, createConnectionSecret())
  storeKeys(own, entryOfAddress(own, address), allocate(ANNOUNCE_BYTES))
  const scrape = allocate(SCRAPE_REQUEST_HEADER_BYTES)
  const other = openProvenKeys(memory, createConnectionSecret())
  t.notOk(recallKeys(other, address, scrape, 0))
})
