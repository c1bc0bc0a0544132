import { allRounds } from '../fixtures/rounds.ts'

allRounds()
await import('./model.test.ts')
