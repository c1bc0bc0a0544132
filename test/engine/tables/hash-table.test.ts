import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import t from 'tap'
import {
  ABSENT,
  clearTable,
  createHashTable,
  eachKey,
  findValue,
  keyCount,
  openHashTable,
  removeValue,
  setValue,
} from '../../../src/engine/tables/hash-table.ts'
import { hashInfoHash } from '../../../src/engine/tables/keyed-hash.ts'
import { bytesOf } from '../../../src/protocol/bytes.ts'
import { rounds } from '../../fixtures/rounds.ts'
import { testSeed } from '../../fixtures/seed.ts'
import { seededRandom } from '../../fixtures/seeded-random.ts'
import { keyOf } from './fixtures/hash-table-reader.ts'

const HASH_KEY = [1, 2] as const

t.test('a table agrees with a Map, through growth, removals and clearing', async t => {
  const seed = testSeed(t)
  const random = seededRandom(seed)
  const table = openHashTable(createHashTable(20_000, HASH_KEY))
  const model = new Map<number, number>()
  for (let n = 0; n < 200_000; n++) {
    const number = random(12_000)
    const { view } = keyOf(number)
    const action = random(100)
    if (action < 55) {
      const value = random(2 ** 31) * 2
      if (!setValue(table, view, 0, value)) t.fail('full')
      model.set(number, value)
    } else if (action < 90) {
      if (removeValue(table, view, 0) !== model.delete(number)) t.fail(`removal of ${number}`)
    } else if ((findValue(table, view, 0) === ABSENT) === model.has(number)) t.fail(`${number}`)
    if (n === 150_000) {
      clearTable(table)
      model.clear()
    }
  }
  t.equal(keyCount(table), model.size)
  for (let number = 0; number < 12_000; number++) {
    const found = findValue(table, keyOf(number).view, 0)
    if (found !== (model.get(number) ?? ABSENT)) t.fail(`${number}: ${found}`)
  }
  const seen = new Map<number, number>()
  eachKey(table, (bytes, at, value) => seen.set(bytesOf(bytes).view.getUint32(at + 16), value))
  t.same(seen, model)
})

t.test(
  'a reader that stalls over two rebuilds does not return the value of another key',
  async t => {
    const table = openHashTable(createHashTable(512, HASH_KEY))
    const slotOf = (number: number) => (hashInfoHash(HASH_KEY, keyOf(number).view, 0) >>> 2) & 1023
    let other = 1
    while (slotOf(other) !== slotOf(0)) other++
    // The reader stalls after its last comparison of the key, and finds that slot rewritten.
    const { view } = keyOf(0)
    const sought = bytesOf(
      new Uint8Array(view.buffer.slice(view.byteOffset, view.byteOffset + 20)),
    ).view
    let stalls = 0
    let change = () => {}
    sought.getInt32 = (at: number, littleEndian?: boolean) => {
      if (at === 16 && stalls++ === 1) change()
      return view.getInt32(at, littleEndian)
    }
    setValue(table, view, 0, 7)
    change = () => {
      clearTable(table)
      clearTable(table)
      setValue(table, keyOf(other).view, 0, 8)
    }
    // The first access to the last word hashes the key, the second one compares it.
    t.equal(findValue(table, sought, 0), ABSENT)
    t.equal(stalls, 2, 'and the second search does not reach the slot of the other key')
    t.equal(findValue(table, keyOf(other).view, 0), 8)
  },
)

t.test(
  'a full table reports it, keeps its entries, and accepts more once there is space',
  async t => {
    const table = openHashTable(createHashTable(512, HASH_KEY))
    let entered = 0
    while (setValue(table, keyOf(entered).view, 0, entered)) entered++
    t.ok(entered >= 512, `${entered} keys`)
    for (let n = 0; n < entered; n++) {
      if (findValue(table, keyOf(n).view, 0) !== n) t.fail(`${n}`)
    }
    for (let n = 0; n < 100; n++) removeValue(table, keyOf(n).view, 0)
    t.ok(setValue(table, keyOf(entered).view, 0, 7))
    t.equal(findValue(table, keyOf(entered).view, 0), 7)
  },
)

t.test('readers in other threads always find a key that no writer removes', async t => {
  const shared = createHashTable(100_000, HASH_KEY)
  const table = openHashTable(shared)
  const stop = new Int32Array(new SharedArrayBuffer(4))
  const lookups = new Int32Array(new SharedArrayBuffer(8))
  for (let n = 0; n < 500; n++) setValue(table, keyOf(n).view, 0, n)
  const workers = [0, 1].map(
    index =>
      new Worker(new URL('./fixtures/hash-table-reader.js', import.meta.url), {
        workerData: { shared, stop, lookups, index, staying: 500, seed: index + 1 },
      }),
  )
  await Promise.all(workers.map(worker => once(worker, 'message')))
  const answers = workers.map(worker => once(worker, 'message'))
  // However late the readers get a processor.
  const isRead = () => lookups.every((_, index) => Atomics.load(lookups, index) > 1000)
  for (let round = 0; round < rounds(8, 30) || !isRead(); round++) {
    for (let n = 1000; n < 21_000; n++) setValue(table, keyOf(n).view, 0, n)
    for (let n = 1000; n < 21_000; n++) removeValue(table, keyOf(n).view, 0)
  }
  Atomics.store(stop, 0, 1)
  for (const [answer] of await Promise.all(answers)) {
    t.match(answer, { wrong: 0 })
  }
})
