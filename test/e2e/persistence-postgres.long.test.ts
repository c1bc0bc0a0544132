import { startPostgres } from '../fixtures/database-servers.ts'
import { testServer } from './fixtures/persistence.ts'

testServer('pgsql', startPostgres)
