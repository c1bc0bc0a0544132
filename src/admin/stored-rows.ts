import type { Database } from '../database/database.ts'
import type { Table } from '../database/table.ts'

/**
 * The database as `database.remove_action = false` wants it: rows that the API deletes
 * stay in their table, and are loaded again at the next start.
 */
export function withoutDeletes(database: Database): Database {
  return {
    ...database,
    whitelist: keepRows(database.whitelist),
    blacklist: keepRows(database.blacklist),
    users: keepRows(database.users),
    ledger: { ...database.ledger, removeUsers: async () => undefined },
  }
}

function keepRows<Row>(table: Table<Row>): Table<Row> {
  return { ...table, remove: async () => undefined }
}
