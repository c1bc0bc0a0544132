import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { parseCacheAddress } from '../config/cache-address.ts'
import {
  CACHE_TIMEOUT_MILLIS,
  type CountStore,
  entryName,
  fieldsOf,
  type StoreSettings,
} from './store.ts'

const DEFAULT_PORT = 11211

/** A Memcached server. The value of a torrent is its counts, joined by colons. */
export function openMemcached({ address, prefix, ttl }: StoreSettings): CountStore {
  const server = new MemcachedServer(address)
  return {
    async write(list) {
      const commands = list.map(counts => {
        const value = fieldsOf(counts)
          .map(([, count]) => count)
          .join(':')
        return `set ${entryName(prefix, counts.hash)} 0 ${ttl} ${value.length}\r\n${value}\r\n`
      })
      await server.send(commands, /^STORED$/)
    },
    remove: hashes =>
      server.send(
        hashes.map(hash => `delete ${entryName(prefix, hash)}\r\n`),
        /^(DELETED|NOT_FOUND)$/,
      ),
    close: () => server.close(),
  }
}

/**
 * The text protocol of Memcached (its doc/protocol.txt), for commands that are answered with one
 * line. The connection is opened by the first call, and again by the first call after a failure.
 */
class MemcachedServer {
  readonly #url: URL
  #socket: Socket | undefined

  constructor(address: string) {
    const url = parseCacheAddress(address)
    if (!url) throw new Error('not the address of a Memcached server')
    this.#url = url
  }

  /** Sends commands at once, and rejects unless each is answered with a line of this form. */
  async send(commands: readonly string[], expected: RegExp): Promise<void> {
    if (commands.length === 0) return
    const signal = AbortSignal.timeout(CACHE_TIMEOUT_MILLIS)
    try {
      this.#socket ??= await this.#connect(signal)
      await exchange(this.#socket, commands, expected, signal)
    } catch (error) {
      this.close()
      throw error
    }
  }

  close(): void {
    this.#socket?.destroy()
    this.#socket = undefined
  }

  async #connect(signal: AbortSignal): Promise<Socket> {
    const { hostname, password, port, username } = this.#url
    const host = hostname.replace(/^\[|\]$/g, '')
    const socket = connect({ host, port: Number(port) || DEFAULT_PORT })
    // An error while no command waits. The next command finds the socket destroyed.
    socket.on('error', () => socket.destroy())
    socket.on('close', () => {
      if (this.#socket === socket) this.#socket = undefined
    })
    try {
      await once(socket, 'connect', { signal })
      if (username !== '') {
        const login = `${decodeURIComponent(username)} ${decodeURIComponent(password)}`
        const command = `set login 0 0 ${Buffer.byteLength(login)}\r\n${login}\r\n`
        await exchange(socket, [command], /^STORED$/, signal)
      }
      return socket
    } catch (error) {
      socket.destroy()
      throw error
    }
  }
}

/** Resolves when every command is answered as expected. */
function exchange(
  socket: Socket,
  commands: readonly string[],
  expected: RegExp,
  signal: AbortSignal,
): Promise<void> {
  return new Promise((resolve, reject) => {
    let waiting = commands.length
    let rest = ''
    const end = (error?: Error) => {
      socket.off('data', read)
      socket.off('close', closed)
      signal.removeEventListener('abort', timedOut)
      if (error) reject(error)
      else resolve()
    }
    const closed = () => end(new Error('the Memcached server closed the connection'))
    const timedOut = () => end(new Error('the Memcached server did not answer in time'))
    const read = (chunk: Buffer) => {
      const lines = (rest + chunk.toString('latin1')).split('\r\n')
      rest = lines.pop() ?? ''
      const wrong = lines.find(line => !expected.test(line))
      waiting -= lines.length
      if (wrong !== undefined) end(new Error(`the Memcached server answered ${wrong}`))
      else if (waiting <= 0) end()
    }
    socket.on('data', read)
    socket.on('close', closed)
    signal.addEventListener('abort', timedOut)
    socket.write(commands.join(''))
  })
}
