import { connect, type Socket } from 'node:net'
import t from 'tap'
import { getBencoded } from '../../fixtures/http-client.ts'
import { announceTarget } from '../../fixtures/load.ts'
import { startTracker } from '../../fixtures/start-tracker.ts'
import { openUdpClient } from '../fixtures/udp-client.ts'

const DESCRIPTORS = 400
const CONNECTIONS = 600

for (const http of ['uws', 'node'] as const) {
  for (const workers of [0, 1]) {
    t.test(`few file descriptors: ${workers} workers, ${http}`, async t => {
      const tracker = await startTracker(t, { frontend: { http, workers } }, undefined, {
        through: ['sh', '-c', `ulimit -n ${DESCRIPTORS}; exec "$@"`, 'sh'],
      })
      const port = tracker.port('http', '127.0.0.1')
      const sockets: Socket[] = []
      t.teardown(() => {
        for (const socket of sockets) socket.destroy()
      })
      let answered = 0
      for (let n = 0; n < CONNECTIONS; n++) {
        const socket = connect(port, '127.0.0.1')
        socket.on('error', () => {})
        socket.on('data', () => answered++)
        socket.write(`GET ${announceTarget(n, 1)} HTTP/1.1\r\nhost: x\r\n\r\n`)
        sockets.push(socket)
      }
      while (answered < DESCRIPTORS / 4) await new Promise(resolve => setTimeout(resolve, 10))
      await tracker.line(({ msg }) => msg.startsWith('few file descriptors are free'))

      const udp = await openUdpClient(t, '127.0.0.1', tracker.port('udp', '127.0.0.1'))
      t.match(await udp.announce(), { interval: Number }, 'UDP needs no new descriptor')
      t.ok(answered < CONNECTIONS, `${answered} of ${CONNECTIONS} connections could be served`)

      const waiting = getBencoded(tracker.url(), announceTarget(1, 2))
      for (const socket of sockets) socket.destroy()
      t.match(await waiting, { interval: Number }, 'a client that had to wait is served')
      t.notOk(
        tracker.log.some(({ level, msg }) => level >= 50 || msg === 'worker died'),
        'no process died of it',
      )
      t.equal(await tracker.stop(), 0)
    })
  }
}
