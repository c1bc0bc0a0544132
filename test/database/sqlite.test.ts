import { testBehaviours } from './fixtures/behaviours.ts'
import { sqliteDatabase } from './fixtures/sqlite-database.ts'

testBehaviours(sqliteDatabase)
