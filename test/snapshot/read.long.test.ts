import { allRounds } from '../fixtures/rounds.ts'

allRounds()
await import('./read.test.ts')
