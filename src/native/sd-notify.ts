import type { Logger } from '../log.ts'
import { errnoName, openLibc } from './libc.ts'
import {
  AF_UNIX,
  Errno,
  MSG_NOSIGNAL,
  SOCK_CLOEXEC,
  SOCK_DGRAM,
  SOCK_NONBLOCK,
  SOCKADDR_UN_PATH,
  SOCKADDR_UN_PATH_BYTES_MAX,
} from './linux.ts'

/** The variables that systemd sets for a service (sd_notify(3), sd_watchdog_enabled(3)). */
export type NotifySettings = {
  /** Path of a datagram socket, or an abstract name after an `@`. */
  readonly socket: string
  /** The longest time between two watchdog pings, in milliseconds; undefined without a watchdog. */
  readonly watchdogMillis: number | undefined
}

/** Reports the state of the service to systemd. Without NOTIFY_SOCKET, nothing is sent. */
export type ServiceManager = {
  readonly watchdogMillis: number | undefined
  ready(status: string): void
  /** A call of `ready` must follow. */
  reloading(): void
  stopping(): void
  /** One line for `systemctl status`. */
  status(text: string): void
  /** Sends a watchdog ping. */
  alive(): void
}

type Environment = Record<string, string | undefined>

/**
 * Removes systemd's variables from the environment, so that no worker inherits them: only this
 * process reports for the service. Undefined where there are none, or where they are meant for
 * another process.
 */
export function takeNotifySettings(environment: Environment): NotifySettings | undefined {
  const { NOTIFY_SOCKET: socket, WATCHDOG_PID: pid, WATCHDOG_USEC: micros } = environment
  for (const name of ['NOTIFY_SOCKET', 'WATCHDOG_PID', 'WATCHDOG_USEC']) delete environment[name]
  if (!socket) return undefined
  const millis = Number(micros) / 1000
  const isWatched = millis > 0 && (pid === undefined || Number(pid) === process.pid)
  return { socket, watchdogMillis: isWatched ? millis : undefined }
}

/** Connects to the socket of `settings`. On failure an error is logged and nothing is sent. */
export function connectServiceManager(
  settings: NotifySettings | undefined,
  log: Logger,
): ServiceManager {
  const send = settings ? openSender(settings.socket, log) : undefined
  let unsent = ''
  const report = (message: string) => {
    const sent = !send || send(`${unsent}${message}\n`)
    if (sent) unsent = ''
    return sent
  }
  // A message that does not fit the socket's buffer is sent with the next one, because systemd
  // waits for it.
  const reportState = (message: string) => {
    if (!report(message)) unsent += `${message}\n`
  }
  return {
    watchdogMillis: send && settings?.watchdogMillis,
    ready: status => reportState(`READY=1\nSTATUS=${status}`),
    reloading: () => reportState(`RELOADING=1\nMONOTONIC_USEC=${process.hrtime.bigint() / 1000n}`),
    stopping: () => reportState('STOPPING=1'),
    status: text => report(`STATUS=${text}`),
    alive: () => report('WATCHDOG=1'),
  }
}

/**
 * Opens the socket through the C library, because Node has no datagrams over Unix sockets. The
 * returned function sends one message, and returns false where it should be sent again.
 */
function openSender(path: string, log: Logger): ((message: string) => boolean) | undefined {
  const fail = (reason: string) => {
    log.error(
      { reason },
      'cannot report the state of the service to systemd: use Type=exec, without WatchdogSec',
    )
  }
  const address = socketAddress(path)
  if (!address) {
    fail(`NOTIFY_SOCKET is not a path: ${JSON.stringify(path)}`)
    return undefined
  }
  try {
    const libc = openLibc()
    const fd = libc.socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)
    if (fd === -1) throw new Error(`socket ${errnoName(libc.errno())}`)
    return message => {
      const bytes = Buffer.from(message)
      const sent = libc.sendto(fd, bytes, bytes.length, MSG_NOSIGNAL, address, address.length)
      if (sent !== -1) return true
      const errno = libc.errno()
      if (errno === Errno.EAGAIN || errno === Errno.ENOBUFS) return false
      log.error({ code: errnoName(errno) }, 'systemd does not accept messages')
      return true
    }
  } catch (error) {
    fail((error as Error).message)
    return undefined
  }
}

/**
 * A sockaddr_un; undefined where `path` is neither an absolute path nor an abstract name, or is too
 * long.
 */
function socketAddress(path: string): Buffer | undefined {
  if (!/^[/@]./.test(path)) return undefined
  const name = Buffer.from(path)
  if (name.length >= SOCKADDR_UN_PATH_BYTES_MAX) return undefined
  if (path.startsWith('@')) name[0] = 0
  const family = Buffer.alloc(SOCKADDR_UN_PATH)
  family.writeUInt16LE(AF_UNIX)
  // A path ends with a zero byte; the length of an abstract name is that of the address.
  return Buffer.concat([family, name, Buffer.alloc(path.startsWith('@') ? 0 : 1)])
}
