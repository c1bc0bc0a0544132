import { allRounds } from '../fixtures/rounds.ts'

allRounds()
await import('./write.test.ts')
