import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { countUdpSockets, readUdpSockets } from '../../src/native/proc-net-udp.ts'

const TABLE = `   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops
  245: 00000000:1B39 00000000:0000 07 00000000:00000A00 00:00000000 00000000     0        0 9 2 0000000000000000 17
  246: 0100007F:1B39 00000000:0000 07 00000000:00000001 00:00000000 00000000     0        0 8 2 0000000000000000 5
  247: 0100007F:1B3A 00000000:0000 07 00000000:00000100 00:00000000 00000000     0        0 7 2 0000000000000000 1000
`

t.test("drops and queues of the sockets on the tracker's ports are summed", async t => {
  t.same(countUdpSockets(TABLE, new Set([6969])), { dropped: 22, queuedBytes: 0xa01 })
  t.same(countUdpSockets(TABLE, new Set()), { dropped: 0, queuedBytes: 0 })
})

t.test(
  'a socket without a reader queues datagrams and then drops them',
  { skip: process.platform !== 'linux' && 'reads /proc' },
  async t => {
    const receiver = createSocket({ type: 'udp4', recvBufferSize: 4096 })
    const sender = createSocket('udp4')
    t.teardown(() => {
      receiver.close()
      sender.close()
    })
    receiver.bind(0, '127.0.0.1')
    await once(receiver, 'listening')
    const { port } = receiver.address()
    const ports = new Set([port])
    t.same(readUdpSockets(ports)?.dropped, [0, 0])
    // Of one turn of the event loop, so that nothing is read in between.
    const read = () => {
      for (let n = 0; n < 100; n++) sender.send(Buffer.alloc(1000), port, '127.0.0.1')
      return readUdpSockets(ports)
    }
    sender.bind()
    await once(sender, 'listening')
    let counts = read()
    while (!counts?.dropped[0] || !counts.queuedBytes[0]) {
      await sleep(1)
      counts = read()
    }
    t.same(counts.dropped[1], 0)
  },
)
