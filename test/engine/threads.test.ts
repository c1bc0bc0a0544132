import { testThreads } from './fixtures/announcing-threads.ts'

testThreads([2, 3, 20_000])
testThreads([4, 50, 10_000])
testThreads([8, 2000, 4_000])
