import { join } from 'node:path'
import Libsql from 'libsql'
import t from 'tap'
import { testLedgerModel } from './fixtures/ledger-model.ts'

t.test('users are credited to the byte, whatever happens, with SQLite', t =>
  testLedgerModel(t, {
    seed: 14,
    database: {},
    async outage(folder) {
      const other = new Libsql(join(folder, 'data', 'muster.db'))
      other.exec('BEGIN IMMEDIATE')
      return async () => {
        other.exec('ROLLBACK')
        other.close()
      }
    },
  }),
)
