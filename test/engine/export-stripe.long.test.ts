import { allRounds } from '../fixtures/rounds.ts'

allRounds()
await import('./export-stripe.test.ts')
