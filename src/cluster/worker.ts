import { createRemoteAdmin } from '../admin/remote.ts'
import { connectSocketLink } from '../link/socket.ts'
import { createLog } from '../log.ts'
import { type Frontends, startFrontends } from './frontends.ts'
import type { FromWorker, ToWorker } from './messages.ts'

/** Entry of a cluster worker: sockets of clients on one side, the link to an engine thread on the other. */

/** The primary takes a worker that says nothing for some seconds for stuck. */
const ALIVE_MILLIS = 1000

let log = createLog('info', 'worker')
let frontends: Frontends | undefined

function tell(message: FromWorker, sent = () => {}): void {
  // The channel may close under us; its `disconnect` then ends this process.
  if (process.connected) process.send?.(message, undefined, undefined, sent)
}

const remote = createRemoteAdmin(tell)

process.title = 'muster: worker'

// A terminal's Ctrl-C reaches the whole process group; the primary decides when a worker stops.
process.on('SIGINT', () => {})
process.on('SIGTERM', () => {})
process.on('SIGHUP', () => {})
// Without its primary a worker has no engine either.
process.on('disconnect', () => process.exit(0))
process.on('uncaughtException', error => {
  log.fatal({ err: error }, 'worker failed')
  process.exit(1)
})

process.on('message', async (message: ToWorker) => {
  if (message.type === 'rpc-answer' || message.type === 'rpc-failure') {
    remote.answer(message)
    return
  }
  if (message.type === 'stop') {
    await frontends?.stop()
    process.exit(0)
  }
  process.title = `muster: worker ${message.number}`
  log = createLog(message.level, 'worker')
  try {
    frontends = await startFrontends(
      message.listeners,
      connectSocketLink(message.socketPath),
      remote.service,
      log,
    )
    tell({ type: 'listening' })
  } catch (error) {
    tell({ type: 'failed', reason: (error as Error).message }, () => process.exit(1))
  }
})

tell({ type: 'up' })
setInterval(() => tell({ type: 'alive' }), ALIVE_MILLIS).unref()
