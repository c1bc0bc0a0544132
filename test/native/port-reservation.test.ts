import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import t from 'tap'
import { freePort } from '../../bench/rivals/free-port.ts'
import { listen } from '../../src/frontends/listen.ts'
import { holdPort } from '../../src/native/port-reservation.ts'
import { testBackend } from '../fixtures/http-backend.ts'

for (const host of ['127.0.0.1', '::']) {
  t.test(`${host}: only a socket that shares the address can listen on a reserved one`, async t => {
    const port = await freePort()
    const release = holdPort(host, port, false)
    const other = createServer()
    other.listen({ host, port })
    t.match((await once(other, 'error'))[0], { code: 'EADDRINUSE' })
    for (let worker = 0; worker < 2; worker++) {
      const sharing = await listen(testBackend, testBackend.createApp(), host, port)
      t.teardown(sharing.stop)
    }
    const client = connect(port, '127.0.0.1')
    t.teardown(() => client.destroy())
    await once(client, 'connect')
    release()
  })

  t.test(`${host}: a released port is free`, async t => {
    const port = await freePort()
    const release = holdPort(host, port, false)
    t.throws(() => holdPort(host, port, false), { code: 'EADDRINUSE' })
    release()
    const other = createServer()
    other.listen({ host, port })
    await once(other, 'listening')
    t.throws(() => holdPort(host, port, false), {
      code: 'EADDRINUSE',
      message: /^bind EADDRINUSE tcp \S+:\d+$/,
    })
    await new Promise(resolve => other.close(resolve))
  })
}
