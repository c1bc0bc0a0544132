import type { Database } from '../database/database.ts'
import type { Table } from '../database/table.ts'

/**
 * The database as `database.remove_action = false` wants it: what the API deletes stays in its
 * table, and is back after a restart.
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
