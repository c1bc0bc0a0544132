import { createRemoteAdmin } from '../admin/rpc.ts'
import { createFrontendCounters } from '../counters/frontend.ts'
import { type Reporting, startReporting } from '../counters/process-report.ts'
import { relayPathIn } from '../frontends/websocket/worker-relay.ts'
import { connectSocketLink } from '../link/socket.ts'
import { createLog, setErrorSink } from '../log.ts'
import { LocalServers } from './local-servers.ts'
import { type FromWorker, type ToWorker, WORKER_VARIABLE } from './messages.ts'

/**
 * Entry of a cluster worker: sockets of clients on one side, the link to an engine thread on the
 * other.
 */

let log = createLog({ level: 'info', format: 'auto' }, `worker-${process.env[WORKER_VARIABLE]}`)
let servers: LocalServers | undefined
let reporting: Reporting | undefined

function sendToPrimary(message: FromWorker, sent = () => {}): void {
  // The primary may close the channel at any time; its `disconnect` then ends this process.
  if (process.connected) process.send?.(message, undefined, undefined, sent)
}

// An Error can be cloned, but the copy loses its name.
setErrorSink((message, error, name) =>
  sendToPrimary({
    type: 'error',
    message,
    error: error && { name: error.name, message: error.message, stack: error.stack },
    process: name,
  }),
)

const remote = createRemoteAdmin(sendToPrimary)

process.title = 'muster: worker'

// A terminal's Ctrl-C reaches the whole process group; the primary decides when a worker stops.
process.on('SIGINT', () => {})
process.on('SIGTERM', () => {})
process.on('SIGHUP', () => {})
// Without a listener, SIGUSR1 opens Node's debugger.
process.on('SIGUSR1', () => {})
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
  if (message.type === 'hand-over' || message.type === 'stop') {
    const done = message.type === 'stop' ? servers?.stop() : servers?.handOver()
    if (message.type === 'hand-over') sendToPrimary({ type: 'handed-over' })
    await done
    reporting?.stop()
    // Sent after the report, so that both arrive.
    sendToPrimary({ type: 'stopped' }, () => process.exit(0))
    return
  }
  process.title = `muster: worker ${message.number}`
  log = createLog(message.log, `worker-${message.number}`)
  const link = connectSocketLink(message.socketPath)
  const counters = createFrontendCounters()
  reporting = startReporting(
    { frontends: counters, link: link.counters },
    report => sendToPrimary({ type: 'report', report }),
    () => servers?.connections,
  )
  try {
    servers = await LocalServers.start({
      listeners: message.listeners,
      websocket: { worker: message.process, relayPath: relayPathIn(message.folder) },
      link,
      admin: remote.admin,
      counters,
      log,
    })
    sendToPrimary({ type: 'listening' })
  } catch (error) {
    sendToPrimary({ type: 'failed', reason: (error as Error).message }, () => process.exit(1))
  }
})

sendToPrimary({ type: 'up' })
