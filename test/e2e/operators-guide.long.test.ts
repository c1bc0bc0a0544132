import t from 'tap'
import { followDocument, loopbackPorts } from '../fixtures/documents.ts'
import { hasProgram } from '../fixtures/real-clients.ts'
import { temporaryFolder } from '../fixtures/start-tracker.ts'

const skip = !hasProgram('curl') && 'curl is not installed'

t.test('what the operator’s guide says to do can be done', { skip }, async t => {
  await followDocument(t, 'docs/operators-guide.md', temporaryFolder(t), await loopbackPorts())
})
