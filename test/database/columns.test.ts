import t from 'tap'
import { type ColumnKind, decode, encode } from '../../src/database/columns.ts'

const HEX = '0123456789abcdef0123456789abcdef01234567'

t.test('a column returns the values that were written', async t => {
  const cases: [ColumnKind, unknown][] = [
    ['binary', HEX],
    ['hex', HEX],
    ['uuid', '01234567-89ab-4def-8123-456789abcdef'],
    ['serial', '0'],
    ['serial', String(Number.MAX_SAFE_INTEGER)],
    ['number', 0],
    ['bytes', 2n ** 63n - 1n],
    ['bytes', 0n],
    ['flag', true],
    ['flag', false],
  ]
  for (const [kind, value] of cases) t.equal(decode(kind, encode(kind, value)), value, kind)
  t.same(encode('binary', HEX), Buffer.from(HEX, 'hex'))
})

t.test('the forms in which drivers return a value are equal', async t => {
  const bytes = Buffer.from(HEX, 'hex')
  t.equal(decode('binary', new Uint8Array(bytes).buffer), HEX)
  t.equal(decode('hex', `${HEX.toUpperCase()}  `), HEX)
  t.equal(decode('bytes', '9223372036854775807'), 2n ** 63n - 1n)
  t.equal(decode('bytes', '99999999999999999999'), 2n ** 63n - 1n, 'more than muster counts')
  t.equal(decode('bytes', -5), 0n)
  t.equal(decode('bytes', '12.00'), 12n)
  t.equal(decode('number', null), 0)
  t.equal(decode('flag', '1'), true)
  t.equal(decode('serial', 7), '7')
})

t.test('an invalid hash decodes to undefined', async t => {
  for (const value of [null, undefined, '', 5, HEX, Buffer.alloc(19), new ArrayBuffer(21)])
    t.equal(decode('binary', value), undefined)
  for (const value of [null, '', 'x'.repeat(40), `${HEX}0`, Buffer.from(HEX, 'hex')])
    t.equal(decode('hex', value), undefined)
})

t.test('a value that does not fit a column is an assertion error', async t => {
  const cases: [ColumnKind, unknown][] = [
    ['binary', HEX.slice(1)],
    ['binary', `${HEX.slice(1)}g`],
    ['hex', HEX.toUpperCase()],
    ['hex', undefined],
    ['uuid', 'short'],
    ['serial', '-1'],
    ['serial', '1e3'],
    ['serial', '9007199254740992'],
    ['number', -1],
    ['number', '1'],
    ['bytes', 2 ** 53],
  ]
  for (const [kind, value] of cases)
    t.throws(() => encode(kind, value), { code: 'ERR_ASSERTION' }, `${kind} ${value}`)
})
