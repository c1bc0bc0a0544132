import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { createServer } from 'node:net'

/** Below the kernel's ephemeral ports (net.ipv4.ip_local_port_range starts at 32768). */
const PORT_MIN = 10_000
const PORT_END = 32_700

const given = new Set<number>()

/** Returns a port that is free for TCP and UDP over IPv4 and IPv6, distinct in this process. */
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

/** Whether the machine does not have the address family. */
function isNoFamily(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException
  return code === 'EAFNOSUPPORT' || code === 'EADDRNOTAVAIL'
}
