import { allRounds } from '../../fixtures/rounds.ts'

allRounds()
await import('./pick.test.ts')
