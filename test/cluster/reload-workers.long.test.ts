import { testReloads } from './fixtures/reloads.ts'

testReloads(2)
