import t from 'tap'
import { errnoName, openLibc } from '../../src/native/libc.ts'
import { Errno } from '../../src/native/linux.ts'

t.test('the C library is bound once for a thread', async t => {
  t.equal(openLibc(), openLibc())
})

t.test('errno is the error of the last call', async t => {
  const libc = openLibc()
  const memory = new Uint8Array(new ArrayBuffer(64))
  // An assertion itself calls the C library.
  t.same([libc.close(-1), libc.errno()], [-1, Errno.EBADF])
  t.same([libc.recvmmsg(-1, memory, 1, 0, null), libc.errno()], [-1, Errno.EBADF])
})

t.test('an address is that of the first byte and does not change', async t => {
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
