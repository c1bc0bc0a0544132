import { once } from 'node:events'
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { connectSocketLink, serveSocket } from '../../src/link/socket.ts'
import { ask, echoAnswer, echoBytesMax } from '../fixtures/link-requests.ts'

function socketPath(t: Test): string {
  const folder = mkdtempSync(join(tmpdir(), 'muster-test-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  return join(folder, 'engine.sock')
}

t.test('a link waits for its server, and reconnects when the server restarts', async t => {
  const path = socketPath(t)
  const link = connectSocketLink(path)
  t.teardown(() => link.close())
  await t.rejects(ask(link, 1), 'nothing is accepted without a server')
  const first = await serveSocket(path, echoAnswer, echoBytesMax)
  await link.whenUp()
  t.equal(await ask(link, 2), 2)
  const lost = ask(link, 3)
  await first.close()
  await t.rejects(lost)
  const second = await serveSocket(path, echoAnswer, echoBytesMax)
  await link.whenUp()
  t.equal(await ask(link, 4), 4)
  link.close()
  await second.close()
})

t.test('the socket is its user’s alone, and a file left by a dead process is replaced', async t => {
  const path = socketPath(t)
  writeFileSync(path, 'left behind')
  const server = await serveSocket(path, echoAnswer, echoBytesMax)
  t.equal(statSync(path).mode & 0o777, 0o600)
  await server.close()
})

t.test('a path that cannot be listened on rejects', async t => {
  await t.rejects(serveSocket('/nonexistent/engine.sock', echoAnswer, echoBytesMax), {
    code: /ENOENT|EACCES/,
  })
})

t.test('invalid data closes only the connection that it arrives on', async t => {
  const path = socketPath(t)
  const server = await serveSocket(path, echoAnswer, echoBytesMax)
  const link = connectSocketLink(path)
  await link.whenUp()
  const stranger = connect(path)
  stranger.on('error', () => {})
  await once(stranger, 'connect')
  stranger.write(Buffer.alloc(100, 0x47))
  await once(stranger, 'close')
  t.equal(await ask(link, 5), 5)
  link.close()
  await server.close()
})
