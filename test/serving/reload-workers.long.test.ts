import { testReloads } from '../app/fixtures/reloads.ts'

testReloads(2)
