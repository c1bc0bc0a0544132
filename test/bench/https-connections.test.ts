import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TLSSocket } from 'node:tls'
import t from 'tap'
import { startHttpsGenerator } from '../../bench/load/generators.ts'
import type { Mix } from '../../bench/load/mix.ts'
import { KEY_TYPES, writeKeyFiles } from '../../bench/rivals/key-files.ts'

const folder = mkdtempSync(join(tmpdir(), 'muster-https-connections-'))
t.teardown(() => rmSync(folder, { recursive: true }))

const MIX: Mix = { torrents: 10, clients: 100, numwant: 50, scrapes: 0, events: true, seed: 1 }
const LOAD = { connections: 4, mix: MIX }

for (const type of KEY_TYPES) {
  t.test(`${type}: the generator counts the sessions that the server resumed`, async t => {
    const { ssl_cert, ssl_key } = await writeKeyFiles(folder, type)
    const seen = { full: 0, resumed: 0 }
    const server = createServer({ key: readFileSync(ssl_key), cert: readFileSync(ssl_cert) })
    server.on('request', (request, response) => {
      seen[(request.socket as TLSSocket).isSessionReused() ? 'resumed' : 'full']++
      response.end('d8:completei1e')
    })
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
    t.teardown(() => server.close())
    const { port } = server.address() as AddressInfo

    for (const resume of [false, true]) {
      Object.assign(seen, { full: 0, resumed: 0 })
      const generator = startHttpsGenerator({ ...LOAD, port, resume })
      const { errors, requests, resumed } = await generator.run(1)
      generator.stop()
      t.equal(errors, 0)
      t.ok(requests > 0)
      t.equal(requests, seen.full + seen.resumed, 'one request for each connection')
      t.equal(resumed, seen.resumed)
      if (!resume) t.equal(resumed, 0)
      // Only the first connection of each client has no session to resume.
      else t.equal(seen.full, Math.min(requests, LOAD.connections))
    }
  })
}
