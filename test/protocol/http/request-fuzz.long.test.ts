import { allRounds } from '../../fixtures/rounds.ts'

allRounds()
await import('./request-fuzz.test.ts')
