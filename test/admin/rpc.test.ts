import t from 'tap'
import { type Admin, AdminError } from '../../src/admin/admin.ts'
import {
  answerRemote,
  createRemoteAdmin,
  isReported,
  type RpcRequest,
} from '../../src/admin/rpc.ts'

/** A remote Admin whose calls are answered by `methods`, as in another process. */
function connected(methods: Partial<Admin>) {
  const reports: unknown[] = []
  const remote = createRemoteAdmin(request => {
    void answerRemote(
      methods as Admin,
      structuredClone(request),
      answer => remote.answer(structuredClone(answer)),
      error => reports.push(error),
    )
  })
  return { ...remote, reports }
}

t.test('arguments and results cross the border, several calls at a time', async t => {
  const { admin } = connected({
    listed: async (list, hashes) => hashes.map(hash => hash === list),
    keys: async hashes => hashes.map(() => undefined),
  })
  const [listed, keys] = await Promise.all([
    admin.listed('whitelist', ['whitelist', 'x']),
    admin.keys(['a', 'b']),
  ])
  t.same(listed, [true, false])
  t.same(keys, [undefined, undefined])
})

t.test('an AdminError arrives as one; other errors are hidden and reported', async t => {
  const { admin, reports } = connected({
    clearKeys: () => Promise.reject(new AdminError('not enabled', 'keys not enabled')),
    clearUsers: () =>
      Promise.reject(new AdminError('database error', 'database error', { cause: new Error('x') })),
    stats: () => Promise.reject(new Error('a secret path')),
  })
  const failureOf = (call: Promise<unknown>) =>
    call.then(
      () => t.fail(),
      error => error as Error,
    )
  const refused = await failureOf(admin.clearKeys())
  t.match(refused, { kind: 'not enabled', message: 'keys not enabled' })
  t.ok(refused instanceof AdminError)
  t.equal(reports.length, 0, 'what the caller did wrong is not for the log')
  t.match(await failureOf(admin.clearUsers()), { kind: 'database error' })
  const hidden = await failureOf(admin.stats())
  t.equal((hidden as Error).message, 'internal error')
  t.ok(isReported(hidden))
  t.equal(reports.length, 2)
})

t.test('only own methods of the Admin can be called', async t => {
  const { admin } = connected({})
  for (const name of ['toString', 'constructor', '__proto__', 'noSuchMethod']) {
    const call = (admin as unknown as Record<string, () => Promise<unknown>>)[name]
    await t.rejects(call?.() ?? Promise.reject(new Error('internal error')), /internal error/, name)
  }
})

t.test('calls without an answer are bounded, and fail when the primary ends', async t => {
  const sent: RpcRequest[] = []
  const remote = createRemoteAdmin(request => sent.push(request))
  const calls = Array.from({ length: 10_001 }, () => remote.admin.ready())
  const outcomes = Promise.allSettled(calls)
  t.equal(sent.length, 10_000)
  remote.close()
  const messages = (await outcomes).map(each => each.status === 'rejected' && String(each.reason))
  t.match(messages[0], /primary process has ended/)
  t.match(messages.at(-1), /too many calls/)
})
