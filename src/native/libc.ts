import { createRequire } from 'node:module'

/**
 * The functions of the C library that the program calls. Each returns -1 on failure; `errno` then
 * holds the reason.
 */
export type Libc = {
  socket(domain: number, type: number, protocol: number): number
  setsockopt(fd: number, level: number, name: number, value: Uint8Array, bytes: number): number
  getsockopt(fd: number, level: number, name: number, value: Uint8Array, bytes: Uint8Array): number
  bind(fd: number, address: Uint8Array, bytes: number): number
  getsockname(fd: number, address: Uint8Array, bytes: Uint8Array): number
  getpeername(fd: number, address: Uint8Array, bytes: Uint8Array): number
  shutdown(fd: number, how: number): number
  dup2(from: number, to: number): number
  inet_pton(family: number, text: string, address: Uint8Array): number
  close(fd: number): number
  /** With `address` and `bytes` null the remote address is not returned. */
  accept4(fd: number, address: null, bytes: null, flags: number): number
  poll(files: Uint8Array, count: number, timeoutMillis: number): number
  flock(fd: number, operation: number): number
  madvise(address: number, bytes: number, advice: number): number
  prctlText(option: number, text: string): number
  sendto(
    fd: number,
    message: Uint8Array,
    bytes: number,
    flags: number,
    address: Uint8Array,
    addressBytes: number,
  ): number
  recvmsg(fd: number, message: Uint8Array, flags: number): number
  sendmsg(fd: number, message: Uint8Array, flags: number): number
  recvmmsg(fd: number, messages: Uint8Array, count: number, flags: number, timeout: null): number
  sendmmsg(fd: number, messages: Uint8Array, count: number, flags: number): number
  /** Error number of the last call made by this thread. */
  errno(): number
  /**
   * Address of the memory of `bytes`. The caller keeps `bytes` reachable for as long as the kernel
   * may use the address.
   */
  address(bytes: Uint8Array): number
}

type Koffi = typeof import('koffi')

/**
 * koffi is loaded at the first use and not at import, so that the program also starts where koffi
 * has no build.
 */
function loadKoffi(): Koffi {
  return createRequire(import.meta.url)('koffi') as Koffi
}

/** Name of an error number, such as EADDRINUSE; `errno N` for one that is not in the list. */
export function errnoName(errno: number): string {
  const numbers: Record<string, number> = loadKoffi().os.errno
  for (const [name, number] of Object.entries(numbers)) if (number === errno) return name
  return `errno ${errno}`
}

let loaded: Libc | undefined

/** Binds the C library. Throws an Error with the reason where the C library cannot be called. */
export function openLibc(): Libc {
  loaded ??= bindLibc()
  return loaded
}

/** The C library, or undefined where it cannot be called. */
export function tryLibc(): Libc | undefined {
  try {
    return openLibc()
  } catch {
    return undefined
  }
}

function bindLibc(): Libc {
  if (process.platform !== 'linux' || (process.arch !== 'x64' && process.arch !== 'arm64')) {
    throw new Error(`system calls are not supported on ${process.platform} ${process.arch}`)
  }
  const koffi = loadKoffi()
  const library = koffi.load(null)
  return {
    socket: library.func('int socket(int, int, int)'),
    setsockopt: library.func('int setsockopt(int, int, int, const void *, unsigned int)'),
    getsockopt: library.func('int getsockopt(int, int, int, void *, void *)'),
    bind: library.func('int bind(int, const void *, unsigned int)'),
    getsockname: library.func('int getsockname(int, void *, void *)'),
    getpeername: library.func('int getpeername(int, void *, void *)'),
    shutdown: library.func('int shutdown(int, int)'),
    dup2: library.func('int dup2(int, int)'),
    inet_pton: library.func('int inet_pton(int, const char *, void *)'),
    close: library.func('int close(int)'),
    accept4: library.func('int accept4(int, void *, void *, int)'),
    poll: library.func('int poll(void *, unsigned long, int)'),
    flock: library.func('int flock(int, int)'),
    madvise: library.func('int madvise(uintptr_t, size_t, int)'),
    prctlText: library.func('int prctl(int, const char *)'),
    sendto: library.func('long sendto(int, const void *, size_t, int, const void *, unsigned int)'),
    recvmsg: library.func('long recvmsg(int, void *, int)'),
    sendmsg: library.func('long sendmsg(int, const void *, int)'),
    recvmmsg: library.func('int recvmmsg(int, void *, unsigned int, int, void *)'),
    sendmmsg: library.func('int sendmmsg(int, void *, unsigned int, int)'),
    errno: koffi.errno,
    address: bytes => Number(koffi.address(bytes)),
  }
}
