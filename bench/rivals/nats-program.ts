import { existsSync } from 'node:fs'

/** The path of nats-server, or undefined. Debian's folder is not on the PATH of every user. */
export const NATS_SERVER = [
  '/usr/sbin/nats-server',
  '/usr/bin/nats-server',
  '/usr/local/bin/nats-server',
].find(existsSync)

export const NATS_ABSENT = NATS_SERVER === undefined ? 'nats-server is not installed' : undefined
