import t from 'tap'
import { errnoName, openLibc } from '../../src/native/libc.ts'
import { Errno } from '../../src/native/linux.ts'

t.test('the C library is bound once for a thread', async t => {
  t.equal(openLibc(), openLibc())
})

t.test('a call that fails leaves its reason', async t => {
  const libc = openLibc()
  t.equal(libc.close(-1), -1)
  t.equal(libc.errno(), Errno.EBADF)
  t.equal(libc.recvmmsg(-1, new Uint8Array(new ArrayBuffer(64)), 1, 0, null), -1)
  t.equal(libc.errno(), Errno.EBADF)
})

t.test('the address of memory is that of its first byte, and stays', async t => {
  const libc = openLibc()
  const memory = new Uint8Array(new ArrayBuffer(1 << 20))
  const address = libc.address(memory)
  t.equal(libc.address(memory.subarray(4096)), address + 4096)
  memory.fill(1)
  t.equal(libc.address(memory), address)
})

t.test('error numbers have their names', async t => {
  for (const [name, number] of Object.entries(Errno)) t.equal(errnoName(number), name)
  t.equal(errnoName(98), 'EADDRINUSE')
  t.equal(errnoName(99_999), 'errno 99999')
})
