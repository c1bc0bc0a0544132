import t from 'tap'
import { Failure } from '../../../src/protocol/failures.ts'
import { bytesOfUtf8Query } from '../../../src/protocol/http/raw-bytes.ts'
import { announce } from '../fixtures/parse.ts'

/** The query as uWebSockets.js returns it. */
function decoded(bytes: Buffer): string {
  return bytes.toString('utf8')
}

t.test('bytes that are UTF-8 are restored, one character for each', async t => {
  const query = Buffer.from('info_hash=\u00e9\u4e2d\u{1f600}&port=1', 'utf8')
  t.equal(bytesOfUtf8Query(decoded(query)), query.toString('latin1'))
  t.equal(bytesOfUtf8Query('info_hash=%e9&port=1'), 'info_hash=%e9&port=1')
})

t.test('bytes that are not UTF-8 are marked, and change nothing beside them', async t => {
  const query = Buffer.concat([
    Buffer.from('info_hash=\u00e9&x='),
    Buffer.of(0xff, 0xe9),
    Buffer.from('&peer_id=\u00fc'),
  ])
  t.equal(
    bytesOfUtf8Query(decoded(query)),
    'info_hash=\u00c3\u00a9&x=\ufffd\ufffd&peer_id=\u00c3\u00bc',
  )
})

t.test(
  'an info hash of bytes that are not UTF-8 is refused, elsewhere they do no harm',
  async t => {
    const rest = '&peer_id=-XX0001-0123456789ab&port=6881'
    const hash = (bytes: Buffer) => Buffer.concat([Buffer.from('info_hash='), bytes])
    const query = (...parts: Buffer[]) =>
      bytesOfUtf8Query(decoded(Buffer.concat([...parts, Buffer.from(rest)])))
    t.equal(announce(query(hash(Buffer.alloc(20, 0xa0)))), Failure.invalidEncoding)
    const utf8 = Buffer.from('\u00e9'.repeat(10))
    const unknown = Buffer.concat([Buffer.from('&trackerid='), Buffer.of(0xff)])
    t.match(announce(query(hash(utf8), unknown)), { infoHash: utf8.toString('hex') })
  },
)
