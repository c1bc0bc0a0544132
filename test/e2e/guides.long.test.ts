import t from 'tap'
import { followDocument, loopbackPorts } from '../fixtures/documents.ts'
import { setEnvironment } from '../fixtures/environment.ts'
import { hasProgram } from '../fixtures/real-clients.ts'
import { temporaryFolder } from '../fixtures/start-tracker.ts'

const skip = !hasProgram('curl') && 'curl is not installed'

for (const page of ['guide', 'tls', 'private-tracker', 'backup']) {
  t.test(`the commands of docs/operate/${page}.md work`, { skip }, async t => {
    await followDocument(t, `docs/operate/${page}.md`, temporaryFolder(t), await loopbackPorts())
  })
}

t.test('the commands of README.md work', { skip }, async t => {
  const adapt = await loopbackPorts()
  // The README starts muster without a configuration file.
  const settings = {
    HTTP_0_BIND_ADDRESS: '127.0.0.1:6969',
    HTTP_1_ENABLED: 'false',
    UDP_0_BIND_ADDRESS: '127.0.0.1:6969',
    UDP_1_ENABLED: 'false',
    API_0_BIND_ADDRESS: '127.0.0.1:8080',
    FRONTEND__WORKERS: '1',
  }
  for (const [name, value] of Object.entries(settings)) setEnvironment(t, name, adapt(value))
  await followDocument(t, 'README.md', temporaryFolder(t), adapt)
})
