import { testThreads } from './fixtures/announcing-threads.ts'

testThreads([2, 3, 10_000])
testThreads([4, 50, 5_000])
testThreads([8, 2000, 2_000])
