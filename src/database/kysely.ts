import { createRequire } from 'node:module'

/**
 * The query builder. It consists of 260 files, which are most of what the program loads at a start:
 * as CommonJS they load in half the CPU time that they take as ES modules.
 */
export const {
  CompiledQuery,
  Kysely,
  MysqlDialect,
  PostgresDialect,
  SqliteAdapter,
  SqliteDriver,
  SqliteIntrospector,
  SqliteQueryCompiler,
  sql,
} = createRequire(import.meta.url)('kysely') as typeof import('kysely')
