import { allRounds } from '../../fixtures/rounds.ts'

allRounds()
await import('./hash-table.test.ts')
