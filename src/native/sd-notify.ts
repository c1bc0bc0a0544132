import type { Logger } from '../log.ts'
import { loadKoffi } from './libc.ts'

/** What systemd gave a service to talk to it with (sd_notify(3), sd_watchdog_enabled(3)). */
export type NotifySettings = {
  /** Path of a datagram socket, or an abstract name behind an `@`. */
  readonly socket: string
  /** Milliseconds between two signs of life that systemd waits for at most; undefined where it does not watch. */
  readonly watchdogMillis: number | undefined
}

/** Tells systemd of the state of the service. Where nobody asked for it, nothing is sent. */
export type ServiceManager = {
  readonly watchdogMillis: number | undefined
  ready(status: string): void
  /** To be followed by `ready`. */
  reloading(): void
  stopping(): void
  /** One line for `systemctl status`. */
  status(text: string): void
  /** A sign of life for the watchdog. */
  alive(): void
}

type Environment = Record<string, string | undefined>

/**
 * Takes systemd's variables out of the environment, so that no worker has them: only this process is to speak for the service. Undefined
 * where there are none, or where they are meant for another process.
 */
export function takeNotifySettings(environment: Environment): NotifySettings | undefined {
  const { NOTIFY_SOCKET: socket, WATCHDOG_PID: pid, WATCHDOG_USEC: micros } = environment
  for (const name of ['NOTIFY_SOCKET', 'WATCHDOG_PID', 'WATCHDOG_USEC']) delete environment[name]
  if (!socket) return undefined
  const millis = Number(micros) / 1000
  const isWatched = millis > 0 && (pid === undefined || Number(pid) === process.pid)
  return { socket, watchdogMillis: isWatched ? millis : undefined }
}

const AF_UNIX = 1
const SOCK_DGRAM = 2
const SOCK_NONBLOCK = 0o4000
const SOCK_CLOEXEC = 0o2000000
const MSG_NOSIGNAL = 0x4000
/** sun_path behind sun_family. */
const PATH_AT = 2
const PATH_BYTES_MAX = 108

/** Connects to the socket of `settings`. Where that cannot be, an error is logged and nothing is sent. */
export function connectServiceManager(
  settings: NotifySettings | undefined,
  log: Logger,
): ServiceManager {
  const send = settings ? openSender(settings.socket, log) : undefined
  let unsent = ''
  const tell = (message: string) => {
    const sent = !send || send(`${unsent}${message}\n`)
    if (sent) unsent = ''
    return sent
  }
  // One that the socket has no room for goes with the next message: systemd would wait for it.
  const tellState = (message: string) => {
    if (!tell(message)) unsent += `${message}\n`
  }
  return {
    watchdogMillis: send && settings?.watchdogMillis,
    ready: status => tellState(`READY=1\nSTATUS=${status}`),
    reloading: () => tellState(`RELOADING=1\nMONOTONIC_USEC=${process.hrtime.bigint() / 1000n}`),
    stopping: () => tellState('STOPPING=1'),
    status: text => tell(`STATUS=${text}`),
    alive: () => tell('WATCHDOG=1'),
  }
}

/** Node has no datagrams over Unix sockets, hence the C library's. Returns whether the message went, or never will. */
function openSender(path: string, log: Logger): ((message: string) => boolean) | undefined {
  const fail = (reason: string) => {
    log.error(
      { reason },
      'systemd cannot be told that muster is ready: use Type=exec, without WatchdogSec',
    )
  }
  const address = socketAddress(path)
  if (!address) {
    fail(`NOTIFY_SOCKET is no path: ${JSON.stringify(path)}`)
    return undefined
  }
  try {
    const koffi = loadKoffi()
    const library = koffi.load(null)
    const socket = library.func('int socket(int, int, int)')
    const sendto = library.func(
      'long sendto(int, const void *, size_t, int, const void *, unsigned int)',
    )
    const fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0) as number
    if (fd === -1) throw new Error(`socket: errno ${koffi.errno()}`)
    const { EAGAIN, ENOBUFS } = koffi.os.errno
    return message => {
      const bytes = Buffer.from(message)
      if (sendto(fd, bytes, bytes.length, MSG_NOSIGNAL, address, address.length) !== -1) return true
      const errno = koffi.errno()
      if (errno === EAGAIN || errno === ENOBUFS) return false
      log.error({ errno }, 'systemd does not take messages')
      return true
    }
  } catch (error) {
    fail((error as Error).message)
    return undefined
  }
}

/** A sockaddr_un; undefined for what is neither an absolute path nor an abstract name, or is too long. */
function socketAddress(path: string): Buffer | undefined {
  if (!/^[/@]./.test(path)) return undefined
  const name = Buffer.from(path)
  if (name.length >= PATH_BYTES_MAX) return undefined
  if (path.startsWith('@')) name[0] = 0
  const family = Buffer.alloc(PATH_AT)
  family.writeUInt16LE(AF_UNIX)
  // A path ends with a zero; an abstract name has the length that the call states.
  return Buffer.concat([family, name, Buffer.alloc(path.startsWith('@') ? 0 : 1)])
}
