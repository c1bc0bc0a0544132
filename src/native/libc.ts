import { createRequire } from 'node:module'

/**
 * The calls of the C library that are made here. Each returns -1 on failure; `errno` then says why.
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
  madvise(address: number, bytes: number, advice: number): number
  recvmmsg(fd: number, messages: Uint8Array, count: number, flags: number, timeout: null): number
  sendmmsg(fd: number, messages: Uint8Array, count: number, flags: number): number
  /** Of the last call made by this thread. */
  errno(): number
  /** Where the memory of `bytes` lies. Whoever hands it to the kernel keeps `bytes` reachable. */
  address(bytes: Uint8Array): number
}

/** Linux's numbers, the same on x86-64 and arm64. */
export const Errno = {
  EPERM: 1,
  EINTR: 4,
  EBADF: 9,
  EAGAIN: 11,
  EFAULT: 14,
  EINVAL: 22,
  ENOSYS: 38,
  ENOTSOCK: 88,
} as const

/** The name of an error number for a message; the number itself where it has none here. */
export function errnoName(errno: number): string {
  for (const [name, number] of Object.entries(koffiErrno())) if (number === errno) return name
  return `errno ${errno}`
}

type Koffi = typeof import('koffi')

/**
 * koffi is loaded at the first use and not at import, so that where it is missing the program still
 * starts, and uses dgram.
 */
export function loadKoffi(): Koffi {
  return createRequire(import.meta.url)('koffi') as Koffi
}

function koffiErrno(): Record<string, number> {
  return loadKoffi().os.errno
}

let loaded: Libc | undefined

/** Binds the C library; throws an Error that says why where this cannot be. */
export function openLibc(): Libc {
  loaded ??= bindLibc()
  return loaded
}

function bindLibc(): Libc {
  if (process.platform !== 'linux' || (process.arch !== 'x64' && process.arch !== 'arm64')) {
    throw new Error(`recvmmsg is not supported on ${process.platform} ${process.arch}`)
  }
  const koffi = loadKoffi()
  const library = koffi.load(null)
  const libc: Libc = {
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
    madvise: library.func('int madvise(uintptr_t, size_t, int)'),
    recvmmsg: library.func('int recvmmsg(int, void *, unsigned int, int, void *)'),
    sendmmsg: library.func('int sendmmsg(int, void *, unsigned int, int)'),
    errno: koffi.errno,
    address: bytes => Number(koffi.address(bytes)),
  }
  // A sandbox may forbid these two calls even where the library has them.
  const nothing = new Uint8Array(new ArrayBuffer(64))
  if (libc.recvmmsg(-1, nothing, 1, 0, null) === -1 && libc.errno() !== Errno.EBADF) {
    throw new Error(`recvmmsg is not available: ${errnoName(libc.errno())}`)
  }
  if (libc.sendmmsg(-1, nothing, 1, 0) === -1 && libc.errno() !== Errno.EBADF) {
    throw new Error(`sendmmsg is not available: ${errnoName(libc.errno())}`)
  }
  return libc
}
