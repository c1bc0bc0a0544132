import { testThreads } from './fixtures/announcing-threads.ts'

testThreads([2, 3, 60_000])
testThreads([4, 50, 30_000])
testThreads([8, 2000, 15_000])
