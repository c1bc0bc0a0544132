/**
 * Rare, structured calls between processes: the functions of one object, called by name. Arguments and answers are plain data. For the admin
 * API; announces go over frames.
 */
export type RpcRequest = {
  readonly type: 'rpc-call'
  readonly id: number
  readonly method: string
  readonly words: readonly unknown[]
}

export type RpcAnswer =
  | { readonly type: 'rpc-answer'; readonly id: number; readonly value: unknown }
  | { readonly type: 'rpc-failure'; readonly id: number; readonly failure: RpcFailure }

/** An error as it crosses the border: who made it knows how to make it again. */
export type RpcFailure = { readonly kind: string; readonly message: string }

type Functions = { readonly [name: string]: (...words: never[]) => Promise<unknown> }

/** Calls waiting for an answer at most: the API bounds its requests, and a primary that does not answer must not fill our memory. */
const WAITING_MAX = 10_000

export type RpcClient<Service> = {
  readonly service: Service
  /** Takes an answer that arrived. */
  answer(message: RpcAnswer): void
  /** Fails all that waits: no answer will come. */
  close(): void
}

/** An object with these methods, each of which asks the other side by `send`. `toError` makes errors out of failures. */
export function createRpcClient<Service>(
  methods: readonly (keyof Service & string)[],
  send: (request: RpcRequest) => void,
  toError: (failure: RpcFailure) => Error,
): RpcClient<Service> {
  const waiting = new Map<number, { resolve(value: unknown): void; reject(error: Error): void }>()
  let nextId = 1
  const call = (method: string, words: readonly unknown[]): Promise<unknown> =>
    new Promise((resolve, reject) => {
      if (waiting.size >= WAITING_MAX) return reject(new Error('too many calls are waiting'))
      const id = nextId++
      waiting.set(id, { resolve, reject })
      send({ type: 'rpc-call', id, method, words })
    })
  const functions = Object.fromEntries(
    methods.map(method => [method, (...words: unknown[]) => call(method, words)]),
  )
  return {
    service: functions as Service,
    answer(message) {
      const caller = waiting.get(message.id)
      waiting.delete(message.id)
      if (message.type === 'rpc-answer') caller?.resolve(message.value)
      else caller?.reject(toError(message.failure))
    },
    close() {
      for (const { reject } of waiting.values()) reject(new Error('the other side is gone'))
      waiting.clear()
    },
  }
}

/** Does what a request asks of `service`, and sends the answer, whatever happens. `toFailure` says what the caller may know of an error. */
export async function answerRpc(
  service: object,
  methods: readonly string[],
  request: RpcRequest,
  send: (answer: RpcAnswer) => void,
  toFailure: (error: unknown) => RpcFailure,
): Promise<void> {
  const { id, method, words } = request
  try {
    if (!methods.includes(method)) throw new Error(`there is no ${method} to call`)
    const value = await (service as Functions)[method]?.(...(words as never[]))
    send({ type: 'rpc-answer', id, value })
  } catch (error) {
    send({ type: 'rpc-failure', id, failure: toFailure(error) })
  }
}
