import { closeSync, openSync } from 'node:fs'
import { type Libc, tryLibc } from '../native/libc.ts'
import { closeWaiting, openFileCheck, openFilesMax } from '../native/open-sockets.ts'
import { acceptHandshakes, dropHandshakes } from '../native/socket-filter.ts'

/** File descriptors that connections leave to databases, snapshots, logs and other sockets. */
const RESERVED_FILES = 64
/** Free descriptors at which connections are accepted again. */
const RESUME_FILES = RESERVED_FILES + 16
const CHECK_MILLIS = 100
const LOG_MILLIS = 60_000

export type AcceptGuardOptions = {
  readonly libc: Libc
  readonly log: { warn(fields: object, message: string): void }
  /** Maximum number of open files of this process. */
  readonly filesMax: number
}

/**
 * Stops accepting connections while this process has few free file descriptors. The kernel then
 * drops handshakes, so a client repeats its SYN after a second. Without the guard, an accept that
 * fails leaves the connection in the queue and uWebSockets.js repeats the accept without a pause.
 */
export class AcceptGuard {
  readonly #libc: Libc
  readonly #log: AcceptGuardOptions['log']
  readonly #filesMax: number
  /** Listening sockets. */
  readonly #sockets = new Set<number>()
  readonly #timer: NodeJS.Timeout
  /**
   * Whether one of the last descriptors is open. The kernel assigns the lowest free number, so
   * otherwise there were always enough of them.
   */
  readonly #wasNearlyFull: () => boolean
  /** Released to accept a connection where no descriptor is free, in order to close it. */
  #spare: number | undefined
  #isPaused = false
  #loggedMillis = Number.NEGATIVE_INFINITY

  constructor({ filesMax, libc, log }: AcceptGuardOptions) {
    this.#libc = libc
    this.#log = log
    this.#filesMax = filesMax
    this.#spare = openAny()
    this.#wasNearlyFull = openFileCheck(libc, Math.max(0, filesMax - RESERVED_FILES), filesMax)
    this.#timer = setInterval(() => this.check(), CHECK_MILLIS).unref()
  }

  get isPaused(): boolean {
    return this.#isPaused
  }

  /** Guards the listening socket `fd` until the returned function is called. */
  watch(fd: number): () => void {
    this.#sockets.add(fd)
    if (this.#isPaused) dropHandshakes(this.#libc, fd)
    return () => void this.#sockets.delete(fd)
  }

  stop(): void {
    clearInterval(this.#timer)
    if (this.#spare !== undefined) closeSync(this.#spare)
    this.#spare = undefined
    this.#sockets.clear()
  }

  /** Counts the free descriptors, and pauses or resumes. The timer calls this. */
  check(): void {
    if (!this.#isPaused && !this.#wasNearlyFull()) return
    const free = countFree(RESUME_FILES)
    if (this.#isPaused && free >= RESUME_FILES) this.#resume()
    else if (!this.#isPaused && free < RESERVED_FILES) this.#pause()
    if (this.#isPaused && free < RESERVED_FILES / 2) this.#closeWaiting()
  }

  #pause(): void {
    this.#isPaused = true
    for (const fd of this.#sockets) dropHandshakes(this.#libc, fd)
    if (performance.now() - this.#loggedMillis < LOG_MILLIS) return
    this.#loggedMillis = performance.now()
    const fields = { open_files_max: this.#filesMax, reserved: RESERVED_FILES }
    this.#log.warn(
      fields,
      'few file descriptors are free: new connections have to wait. Raise LimitNOFILE= or "ulimit -n".',
    )
  }

  #resume(): void {
    this.#isPaused = false
    for (const fd of this.#sockets) acceptHandshakes(this.#libc, fd)
  }

  /** Closes the connections that were complete before the handshakes were dropped. */
  #closeWaiting(): void {
    if (this.#spare !== undefined) closeSync(this.#spare)
    for (const fd of this.#sockets) closeWaiting(this.#libc, fd)
    this.#spare = openAny()
  }
}

/** Guards this process. Undefined where the C library or procfs is not available. */
export function openAcceptGuard(log: AcceptGuardOptions['log']): AcceptGuard | undefined {
  const libc = tryLibc()
  try {
    return libc && new AcceptGuard({ libc, log, filesMax: openFilesMax() })
  } catch {
    return undefined
  }
}

/** A new descriptor; undefined where none is free. */
function openAny(): number | undefined {
  try {
    return openSync('/dev/null', 'r')
  } catch {
    return undefined
  }
}

/** The number of free descriptors, at most `max`. */
function countFree(max: number): number {
  const opened: number[] = []
  for (let fd = openAny(); fd !== undefined; fd = openAny()) {
    opened.push(fd)
    if (opened.length === max) break
  }
  for (const fd of opened) closeSync(fd)
  return opened.length
}
