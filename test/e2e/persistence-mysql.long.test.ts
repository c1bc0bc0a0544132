import { startMariadb } from '../fixtures/database-servers.ts'
import { testServer } from './fixtures/persistence.ts'

testServer('mysql', startMariadb)
