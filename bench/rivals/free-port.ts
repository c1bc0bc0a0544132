import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { createServer } from 'node:net'

/** Below what the kernel gives to whoever asks for no port of his own (net.ipv4.ip_local_port_range begins at 32768). */
const PORT_MIN = 10_000
const PORT_END = 32_700

const given = new Set<number>()

/** A port that nobody has, TCP or UDP, IPv4 or IPv6, and that no process gets by chance; never the same one twice in this process. */
export async function freePort(): Promise<number> {
  while (given.size < PORT_END - PORT_MIN) {
    const port = PORT_MIN + Math.floor(Math.random() * (PORT_END - PORT_MIN))
    if (given.has(port)) continue
    given.add(port)
    if (await isFree(port)) return port
  }
  throw new Error('no port is free')
}

async function isFree(port: number): Promise<boolean> {
  const frees = [
    await isTcpFree('0.0.0.0', port),
    await isTcpFree('::', port),
    await isUdpFree('udp4', port),
    await isUdpFree('udp6', port),
  ]
  return frees.every(Boolean)
}

async function isTcpFree(host: string, port: number): Promise<boolean> {
  const server = createServer().listen({ host, port, ipv6Only: true, exclusive: true })
  try {
    await once(server, 'listening')
  } catch (error) {
    return isNoFamily(error)
  }
  server.close()
  await once(server, 'close')
  return true
}

async function isUdpFree(type: 'udp4' | 'udp6', port: number): Promise<boolean> {
  const socket = createSocket({ type, ipv6Only: type === 'udp6' })
  socket.bind({ port, exclusive: true })
  try {
    await once(socket, 'listening')
  } catch (error) {
    return isNoFamily(error)
  }
  socket.close()
  await once(socket, 'close')
  return true
}

/** Whether this machine lacks the family: then nobody has a port of it. */
function isNoFamily(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException
  return code === 'EAFNOSUPPORT' || code === 'EADDRNOTAVAIL'
}
