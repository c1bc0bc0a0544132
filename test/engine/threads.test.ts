import { testThreads } from './fixtures/announcing-threads.ts'

testThreads([2, 3, 5_000])
testThreads([4, 50, 2_500])
testThreads([8, 2000, 500])
