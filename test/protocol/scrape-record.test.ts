import t from 'tap'
import { HASH_BYTES, KIND } from '../../src/protocol/records.ts'
import * as scrape from '../../src/protocol/scrape-record.ts'

t.test('no field of a scrape overlaps another', async t => {
  t.ok(scrape.HASH_COUNT > KIND)
  t.ok(scrape.HASH_COUNT + 2 <= scrape.SCRAPE_HEADER_BYTES)
  const { ENTRY_HASH, ENTRY_SEEDERS, ENTRY_COMPLETED, ENTRY_LEECHERS, ENTRY_BYTES } = scrape
  t.same(
    [ENTRY_SEEDERS, ENTRY_COMPLETED, ENTRY_LEECHERS, ENTRY_BYTES],
    [ENTRY_HASH + HASH_BYTES, ENTRY_SEEDERS + 4, ENTRY_COMPLETED + 4, ENTRY_LEECHERS + 4],
  )
})
