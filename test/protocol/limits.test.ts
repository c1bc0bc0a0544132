import t from 'tap'
import * as limits from '../../src/protocol/limits.ts'
import {
  ANNOUNCE_BYTES,
  Family,
  HASH_BYTES,
  replyBytesMax,
  SCRAPE_REQUEST_HEADER_BYTES,
} from '../../src/protocol/records.ts'

t.test('a scrape of the most hashes fits a query, and a query fits a request head', async t => {
  const scrape = limits.SCRAPE_HASHES_MAX * `info_hash=${'%00'.repeat(HASH_BYTES)}&`.length
  t.ok(scrape <= limits.QUERY_BYTES_MAX)
  t.ok(limits.QUERY_BYTES_MAX < limits.HTTP_HEAD_BYTES_MAX)
})

t.test('the longest address is read with its port', async t => {
  const longest = '[ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255]:65535'
  t.equal(limits.ADDRESS_TEXT_BYTES_MAX, longest.length)
})

t.test('all records that can wait fit one frame', async t => {
  const scrape = SCRAPE_REQUEST_HEADER_BYTES + limits.SCRAPE_HASHES_MAX * HASH_BYTES
  t.ok(limits.REQUESTS_WAITING_MAX * ANNOUNCE_BYTES < limits.FRAME_BYTES_MAX)
  t.ok(
    Math.max(scrape, replyBytesMax(limits.NUMWANT_MAX, Family.websocket)) < limits.FRAME_BYTES_MAX,
  )
})

t.test('byte counts are exact', async t => {
  t.ok(limits.TRANSFER_BYTES_MAX * 10 + 9 < Number.MAX_SAFE_INTEGER)
})
