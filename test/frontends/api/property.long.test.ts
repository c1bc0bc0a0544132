import { allRounds } from '../../fixtures/rounds.ts'

allRounds()
await import('./property.test.ts')
