import { type Admin, AdminError } from './admin.ts'
import {
  answerRpc,
  createRpcClient,
  type RpcAnswer,
  type RpcClient,
  type RpcFailure,
  type RpcRequest,
} from './rpc.ts'

/** What another process may call. Checked against the type, so that none is forgotten. */
const METHODS = Object.keys({
  torrents: 0,
  torrentPeers: 0,
  setTorrents: 0,
  removeTorrents: 0,
  topTorrents: 0,
  listed: 0,
  addListed: 0,
  removeListed: 0,
  clearList: 0,
  keys: 0,
  setKeys: 0,
  removeKeys: 0,
  clearKeys: 0,
  users: 0,
  setUsers: 0,
  removeUsers: 0,
  clearUsers: 0,
  stats: 0,
  overview: 0,
  metrics: 0,
  ready: 0,
  certificates: 0,
  reloadCertificates: 0,
} satisfies Record<keyof Admin, 0>) as (keyof Admin)[]

/** The Admin of the primary, for a process that reaches it by `send`. */
export function createRemoteAdmin(send: (request: RpcRequest) => void): RpcClient<Admin> {
  return createRpcClient<Admin>(METHODS, send, toError)
}

/** Does what another process asks of `admin`. `report` is told of errors that are not the caller's affair. */
export function answerRemote(
  admin: Admin,
  request: RpcRequest,
  send: (answer: RpcAnswer) => void,
  report: (error: unknown) => void,
): Promise<void> {
  return answerRpc(admin, METHODS, request, send, error => {
    // Whoever waits for a database error is told so; why it came is for the log here.
    if (!(error instanceof AdminError) || error.kind === 'database error') report(error)
    return error instanceof AdminError
      ? { kind: error.kind, message: error.message }
      : { kind: 'internal', message: 'internal error' }
  })
}

const reported = new WeakSet<Error>()

/** Whether the process that was asked has told of this error in its log. */
export function isReported(error: unknown): boolean {
  return error instanceof Error && reported.has(error)
}

function toError({ kind, message }: RpcFailure): Error {
  const error =
    kind === 'not enabled' || kind === 'database error'
      ? new AdminError(kind, message)
      : new Error(message)
  reported.add(error)
  return error
}
