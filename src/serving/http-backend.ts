import { unavailableError } from '../errors.ts'
import type { BackendName } from '../frontends/adapter.ts'
import { chooseBackend } from '../frontends/backends/choose.ts'
import type { Logger } from '../log.ts'
import type { FrontendListeners } from './local-servers.ts'

/**
 * Installs the official build, whose releases are tags of a git repository. npm 12 accepts these
 * only with this option.
 */
const INSTALL =
  'npm install --allow-git=root uWebSockets.js@github:uNetworking/uWebSockets.js#v20.69.0'

/**
 * Chooses the backend for `frontend.http`. Logs a warning to `log`, if given, when `auto` has to
 * choose the slower one. Throws an OperatorError when `uws` is required and does not load.
 */
export function chooseHttpBackend(wanted: 'auto' | BackendName, log?: Logger): BackendName {
  try {
    const { backend, reason } = chooseBackend(wanted)
    if (reason !== undefined) {
      log?.warn(
        { reason, install: INSTALL },
        'uWebSockets.js does not load; node:http serves HTTP instead, which needs 1.1 to 2.6 times the CPU time. The command in "install" adds a build for Node 22, 24 and 26, on systems with glibc 2.38 or later',
      )
    }
    return backend
  } catch (error) {
    throw unavailableError(
      `frontend.http is "uws", but uWebSockets.js does not load: ${(error as Error).message}`,
    )
  }
}

/**
 * Logs a warning for limits on connections that have no effect: uWebSockets.js does not report
 * connections.
 */
export function warnOfUnlimited(listeners: FrontendListeners, log: Logger): void {
  const onUws = [...listeners.http, ...listeners.api].filter(({ backend }) => backend === 'uws')
  const isLimited = listeners.connectionsPerAddress > 0
  if (onUws.some(({ maxConnections }) => isLimited || maxConnections > 0)) {
    log.warn(
      'connections_per_address and max_connections have no effect on uWebSockets.js: set frontend.http = "node", or limit connections in the firewall',
    )
  }
}
