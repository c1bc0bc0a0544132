import { type Admin, AdminError } from './admin.ts'

/**
 * Calls of the primary's Admin by other processes: rare and structured. Arguments and results are
 * plain data that structured cloning accepts. Announces use the link's frames instead.
 */
export type RpcRequest = {
  readonly type: 'rpc-call'
  readonly id: number
  readonly method: string
  readonly args: readonly unknown[]
}

export type RpcAnswer =
  | { readonly type: 'rpc-answer'; readonly id: number; readonly value: unknown }
  | { readonly type: 'rpc-failure'; readonly id: number; readonly failure: RpcFailure }

/** An error as it is sent to the other process. */
export type RpcFailure = {
  readonly kind: AdminError['kind'] | 'internal'
  readonly message: string
}

/**
 * Maximum unanswered calls of a client: a primary that hangs must not fill the memory of a worker.
 */
const PENDING_CALLS_MAX = 10_000

export type RemoteAdmin = {
  readonly admin: Admin
  /** Accepts an answer that arrived. */
  answer(message: RpcAnswer): void
  /** Rejects all unanswered calls. */
  close(): void
}

type Functions = { readonly [name: string]: (...args: never[]) => Promise<unknown> }

/** An Admin whose methods call the primary through `send`. */
export function createRemoteAdmin(send: (request: RpcRequest) => void): RemoteAdmin {
  const pending = new Map<number, { resolve(value: unknown): void; reject(error: Error): void }>()
  let nextId = 1
  const call = (method: string, args: readonly unknown[]): Promise<unknown> =>
    new Promise((resolve, reject) => {
      if (pending.size >= PENDING_CALLS_MAX) return reject(new Error('too many calls are pending'))
      const id = nextId++
      pending.set(id, { resolve, reject })
      send({ type: 'rpc-call', id, method, args })
    })
  const admin = new Proxy(
    {},
    {
      // `then` would make the object look like a promise.
      get: (_, method) =>
        typeof method === 'string' && method !== 'then'
          ? (...args: unknown[]) => call(method, args)
          : undefined,
    },
  )
  return {
    admin: admin as Admin,
    answer(message) {
      const caller = pending.get(message.id)
      pending.delete(message.id)
      if (message.type === 'rpc-answer') caller?.resolve(message.value)
      else caller?.reject(toError(message.failure))
    },
    close() {
      for (const { reject } of pending.values()) reject(new Error('the primary process has ended'))
      pending.clear()
    },
  }
}

/**
 * Calls the method of `admin` that a request names and sends the result, or the error. `report`
 * receives the errors that an operator should see in the log.
 */
export async function answerRemote(
  admin: Admin,
  { id, method, args }: RpcRequest,
  send: (answer: RpcAnswer) => void,
  report: (error: unknown) => void,
): Promise<void> {
  try {
    if (!Object.keys(admin).includes(method)) throw new Error(`unknown method ${method}`)
    const value = await (admin as unknown as Functions)[method]?.(...(args as never[]))
    send({ type: 'rpc-answer', id, value })
  } catch (error) {
    // The caller learns that the database failed; the cause is in the log of this process.
    if (!(error instanceof AdminError) || error.kind === 'database error') report(error)
    send({ type: 'rpc-failure', id, failure: toFailure(error) })
  }
}

function toFailure(error: unknown): RpcFailure {
  return error instanceof AdminError
    ? { kind: error.kind, message: error.message }
    : { kind: 'internal', message: 'internal error' }
}

const reported = new WeakSet<Error>()

/** Whether the process that was called has already logged this error. */
export function isReported(error: unknown): boolean {
  return error instanceof Error && reported.has(error)
}

function toError({ kind, message }: RpcFailure): Error {
  const error = kind === 'internal' ? new Error(message) : new AdminError(kind, message)
  reported.add(error)
  return error
}
