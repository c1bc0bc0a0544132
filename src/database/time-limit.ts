import type { MysqlPool, MysqlPoolConnection, PostgresPool, PostgresPoolClient } from 'kysely'

/** Milliseconds for which closing waits until a server confirms the end of its connections. */
const CLOSE_MILLIS_MAX = 2000

/** A statement, or a wait for a connection, that took longer than `database.statement_timeout`. */
export class DatabaseTimeout extends Error {
  override readonly name = 'DatabaseTimeout'

  constructor(what: string, millis: number) {
    super(`${what} within ${millis / 1000} s (database.statement_timeout)`)
  }
}

/** Calls `expired` if `answer` takes longer than `millis`. A later result is ignored. */
function within<T>(answer: Promise<T>, millis: number, expired: () => Error): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(expired()), millis)
    answer.then(resolve, reject).finally(() => clearTimeout(timer))
  })
}

type PostgresClient = PostgresPoolClient & {
  release(destroy?: boolean): void
  readonly connection: { readonly stream: { destroy(): void } }
}

export type LimitedPostgres = PostgresPool & {
  /** Adds a connection that `end` may have to close. */
  track(client: object): void
}

/**
 * A PostgreSQL pool whose statements have a time limit. A connection whose server does not answer
 * in time is closed, which rolls its transaction back as soon as the server notices, and does not
 * return to the pool.
 */
export function limitPostgres(
  pool: { connect(): Promise<unknown>; end(): Promise<void> },
  millis: number,
): LimitedPostgres {
  const wrapped = new WeakMap<object, PostgresPoolClient>()
  const open = new Set<PostgresClient>()
  const wrap = (client: PostgresClient): PostgresPoolClient => {
    let broken: Error | undefined
    const query = (text: string, parameters: readonly unknown[]) => {
      if (broken) return Promise.reject(broken)
      const answer = client.query<never>(text, parameters)
      return within(answer, millis, () => {
        broken = new DatabaseTimeout('the database server did not answer', millis)
        client.connection.stream.destroy()
        return broken
      })
    }
    return {
      query: query as unknown as PostgresPoolClient['query'],
      release: () => client.release(broken !== undefined),
    }
  }
  return {
    track(client) {
      open.add(client as PostgresClient)
      const { on } = client as { on(event: 'end', listener: () => void): void }
      on.call(client, 'end', () => open.delete(client as PostgresClient))
    },
    async connect() {
      const client = (await pool.connect()) as PostgresClient
      const known = wrapped.get(client) ?? wrap(client)
      wrapped.set(client, known)
      return known
    },
    end: () =>
      endWithin(pool.end(), () => {
        for (const client of open) client.connection.stream.destroy()
      }),
  }
}

type MysqlConnection = MysqlPoolConnection & { destroy(): void }
type RawMysqlPool = {
  getConnection(callback: (error: unknown, connection: MysqlConnection) => void): void
  end(callback: (error: unknown) => void): void
  on(event: 'connection', listener: (connection: MysqlConnection) => void): void
}

/** A MySQL pool whose statements, and waits for a connection, have a time limit. */
export function limitMysql(pool: RawMysqlPool, millis: number): MysqlPool {
  const limited = new WeakMap<MysqlConnection, MysqlPoolConnection>()
  const open = new Set<MysqlConnection>()
  pool.on('connection', connection => {
    open.add(connection)
    const { on } = connection as unknown as { on(event: string, listener: () => void): void }
    on.call(connection, 'end', () => open.delete(connection))
  })
  return {
    getConnection(callback) {
      acquire(pool, millis).then(
        connection => {
          const close = () => {
            open.delete(connection)
            connection.destroy()
          }
          const known = limited.get(connection) ?? limitConnection(connection, millis, close)
          limited.set(connection, known)
          callback(undefined, known)
        },
        (error: unknown) => callback(error, undefined as never),
      )
    },
    end(callback) {
      const ended = new Promise<void>((resolve, reject) => {
        pool.end(error => (error ? reject(error as Error) : resolve()))
      })
      const closed = endWithin(ended, () => {
        for (const connection of open) connection.destroy()
      })
      closed.then(
        () => callback(undefined),
        (error: unknown) => callback(error),
      )
    },
  }
}

/** Resolves with a connection of the pool. A connection that arrives late returns to the pool. */
function acquire(pool: RawMysqlPool, millis: number): Promise<MysqlConnection> {
  let expired = false
  const acquired = new Promise<MysqlConnection>((resolve, reject) => {
    pool.getConnection((error, connection) => {
      if (error) reject(error as Error)
      else if (expired) connection.release()
      else resolve(connection)
    })
  })
  return within(acquired, millis, () => {
    expired = true
    return new DatabaseTimeout('no connection to the database server', millis)
  })
}

/** A connection whose statements have a time limit, after which `close` is called. */
function limitConnection(
  connection: MysqlConnection,
  millis: number,
  close: () => void,
): MysqlPoolConnection {
  let broken: Error | undefined
  return {
    query(sql: string, parameters: readonly unknown[], callback?: unknown) {
      const answered = callback as (error: unknown, result: unknown) => void
      if (broken) return answered(broken, undefined) as never
      const answer = new Promise((resolve, reject) => {
        connection.query(sql, parameters as unknown[], (error, result) =>
          error ? reject(error as Error) : resolve(result),
        )
      })
      const limited = within(answer, millis, () => {
        broken = new DatabaseTimeout('the database server did not answer', millis)
        close()
        return broken
      })
      limited.then(
        result => answered(undefined, result),
        (error: unknown) => answered(error, undefined),
      )
      return undefined as never
    },
    release() {
      if (!broken) connection.release()
    },
  } as MysqlPoolConnection
}

/** Waits a bounded time until connections end, then closes them. */
async function endWithin(ended: Promise<void>, destroy: () => void): Promise<void> {
  try {
    await within(ended, CLOSE_MILLIS_MAX, () => new DatabaseTimeout('', CLOSE_MILLIS_MAX))
  } catch (error) {
    if (!(error instanceof DatabaseTimeout)) throw error
    ended.catch(() => undefined)
  } finally {
    destroy()
  }
}
