import { createRequire } from 'node:module'

/**
 * TCP through epoll, called by koffi, without a promise, stream or object per connection. A
 * generator on one core is then faster than the tracker on another. 64-bit Linux only.
 */
export type Epoll = {
  /** Opens a connection to `server` from `source` for `slot`. Returns -1 on failure. */
  connect(server: Uint8Array, source: Uint8Array | undefined, slot: number): number
  /** Returns whether all bytes were sent. False while the connection is not established. */
  send(fd: number, bytes: Uint8Array): boolean
  /** Returns the bytes received into `into`, 0 at the end, or -1 if none are available. */
  receive(fd: number, into: Uint8Array): number
  close(fd: number): void
  /** Reports `slot` once its connection is writable, instead of readable. */
  wantWrite(fd: number, slot: number, write: boolean): void
  /** Waits at most `millis` and returns the count of ready slots. */
  wait(millis: number): number
  /** The slot of event `n`. */
  slotOf(n: number): number
}

const AF_INET = 2
const AF_INET6 = 10
const SOCK_STREAM_NONBLOCK = 1 | 0o4000
const IPPROTO_IP = 0
const IPPROTO_TCP = 6
const TCP_NODELAY = 1
/** The kernel chooses the port at connect, so each source has all ports for each server. */
const IP_BIND_ADDRESS_NO_PORT = 24
const MSG_NOSIGNAL = 0x4000
const EPOLLIN = 1
const EPOLLOUT = 4
const EPOLL_CTL_ADD = 1
const EPOLL_CTL_MOD = 3
const EINPROGRESS = 115
const EVENTS_MAX = 256

/** struct epoll_event is packed only on x86-64. */
const [EVENT_BYTES, EVENT_DATA] = process.arch === 'x64' ? [12, 4] : [16, 8]

/** The sockaddr of an IPv4 address in four numbers, or of ::1. */
export function socketAddress(host: readonly number[] | '::1', port: number): Uint8Array {
  const bytes = new Uint8Array(host === '::1' ? 28 : 16)
  const view = new DataView(bytes.buffer)
  view.setUint16(0, host === '::1' ? AF_INET6 : AF_INET, true)
  view.setUint16(2, port)
  if (host === '::1') bytes[23] = 1
  else bytes.set(host, 4)
  return bytes
}

export function openEpoll(): Epoll {
  const koffi = createRequire(import.meta.url)('koffi') as typeof import('koffi')
  const library = koffi.load(null)
  const libc = {
    socket: library.func('int socket(int, int, int)'),
    setsockopt: library.func('int setsockopt(int, int, int, const void *, unsigned int)'),
    bind: library.func('int bind(int, const void *, unsigned int)'),
    connect: library.func('int connect(int, const void *, unsigned int)'),
    send: library.func('long send(int, const void *, unsigned long, int)'),
    recv: library.func('long recv(int, void *, unsigned long, int)'),
    close: library.func('int close(int)'),
    epoll_create1: library.func('int epoll_create1(int)'),
    epoll_ctl: library.func('int epoll_ctl(int, int, int, void *)'),
    epoll_pwait2: library.func('int epoll_pwait2(int, void *, int, const void *, void *)'),
  }
  const epoll = libc.epoll_create1(0)
  if (epoll < 0) throw new Error('no epoll')
  const events = new Uint8Array(EVENT_BYTES * EVENTS_MAX)
  const eventsView = new DataView(events.buffer)
  const change = new Uint8Array(EVENT_BYTES)
  const changeView = new DataView(change.buffer)
  const timeout = new Uint8Array(16)
  const timeoutView = new DataView(timeout.buffer)
  const on = new Uint8Array(Int32Array.of(1).buffer)

  function control(operation: number, fd: number, what: number, slot: number): void {
    changeView.setUint32(0, what, true)
    changeView.setUint32(EVENT_DATA, slot, true)
    libc.epoll_ctl(epoll, operation, fd, change)
  }

  return {
    connect(server, source, slot) {
      const fd = libc.socket(server[0] as number, SOCK_STREAM_NONBLOCK, 0)
      if (fd < 0) return -1
      libc.setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, on, 4)
      if (source) {
        libc.setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, on, 4)
        libc.bind(fd, source, source.length)
      }
      if (libc.connect(fd, server, server.length) < 0 && koffi.errno() !== EINPROGRESS) {
        libc.close(fd)
        return -1
      }
      control(EPOLL_CTL_ADD, fd, EPOLLIN, slot)
      return fd
    },
    send: (fd, bytes) => Number(libc.send(fd, bytes, bytes.length, MSG_NOSIGNAL)) === bytes.length,
    receive: (fd, into) => Number(libc.recv(fd, into, into.length, 0)),
    close(fd) {
      libc.close(fd)
    },
    wantWrite(fd, slot, write) {
      control(EPOLL_CTL_MOD, fd, write ? EPOLLOUT : EPOLLIN, slot)
    },
    wait(millis) {
      timeoutView.setBigInt64(0, BigInt(Math.floor(millis / 1000)), true)
      timeoutView.setBigInt64(8, BigInt(Math.floor((millis % 1000) * 1e6)), true)
      return Math.max(0, libc.epoll_pwait2(epoll, events, EVENTS_MAX, timeout, null))
    },
    slotOf: n => eventsView.getUint32(n * EVENT_BYTES + EVENT_DATA, true),
  }
}
