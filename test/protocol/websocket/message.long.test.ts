import { allRounds } from '../../fixtures/rounds.ts'

allRounds()
await import('./message.test.ts')
