import t from 'tap'
import { bodyLength, isDictionary } from '../../bench/load/http-answer.ts'

function answer(...lines: readonly string[]): Buffer {
  return Buffer.from(lines.join('\r\n'), 'latin1')
}

t.test('an answer with its length is complete with the last byte', async t => {
  const whole = answer('HTTP/1.1 200 OK', 'Content-Length: 14', '', 'd8:completei1e')
  t.equal(bodyLength(whole), 14)
  t.equal(bodyLength(whole.subarray(0, -1)), -1)
  t.equal(bodyLength(whole.subarray(0, 20)), -1)
  t.ok(isDictionary(whole, 14))
  t.notOk(isDictionary(answer('HTTP/1.1 404 Not Found', 'content-length: 2', '', 'no'), 2))
})

t.test('an answer in chunks is complete with the last chunk', async t => {
  const head = ['HTTP/1.1 200 OK', 'transfer-encoding: chunked', 'content-encoding: gzip', '']
  const whole = answer(...head, '2', '\x1f\x8b', '0', '', '')
  t.equal(bodyLength(whole), 12)
  t.equal(bodyLength(whole.subarray(0, -5)), -1)
  t.ok(isDictionary(whole, 12), 'compressed')
})
