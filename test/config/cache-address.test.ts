import t from 'tap'
import { maskCacheAddress, parseCacheAddress } from '../../src/config/cache-address.ts'
import { loadConfig } from '../../src/config/load.ts'

t.test('cache addresses are masked and checked', async t => {
  for (const [text, masked] of [
    ['127.0.0.1:6379', '127.0.0.1:6379'],
    ['[::1]:6379/3', '[::1]:6379/3'],
    [':secret@127.0.0.1:6379', ':********@127.0.0.1:6379'],
    ['me:se:cr%40et@cache.example.org/0', 'me:********@cache.example.org/0'],
    ['rediss://me:secret@h:6380/0?ca=/a.pem', 'rediss://me:********@h:6380/0?ca=/a.pem'],
  ] as const) {
    t.equal(maskCacheAddress(text), masked)
    t.ok(parseCacheAddress(text), text)
  }
  const file = (address: string) =>
    `${t.testdir({ 'config.toml': `[cache]\naddress = "${address}"\n` })}/config.toml`
  for (const address of ['', 'secret@host:99999', 'redis://']) {
    t.throws(
      () => loadConfig({ file: file(address), environment: {} }),
      { message: /^cache.address: must be the address of a cache.*\(found a string\)$/ },
      address,
    )
  }
})
