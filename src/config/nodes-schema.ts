import { filePath, type SectionSchema, switchedOff, switchedOn } from './key-schema.ts'

/** Several machines that serve one swarm. */
export const NODES_SECTION = {
  description:
    'Several machines with one swarm: each node answers from its own memory and reports changes to the others over NATS. Lists, keys and users then must be in PostgreSQL or MySQL.',
  list: false,
  environment: 'NODES__',
  restart: 'all',
  keys: {
    servers: {
      type: 'array',
      items: { type: 'string', format: 'nats-server' },
      default: [],
      allowed: 'a list of addresses, such as ["nats://10.0.0.1:4222", "tls://10.0.0.2:4222"]',
      description:
        'NATS servers. The node uses one at a time, chosen at random. Empty: this machine is the only node.',
    },
    cluster: {
      type: 'string',
      pattern: '^[A-Za-z0-9_-]{1,64}$',
      default: 'muster',
      allowed: '1 to 64 letters, digits, hyphens and underscores',
      description: 'Name of the swarm. Trackers with different names can share NATS servers.',
    },
    name: {
      type: 'string',
      pattern: '^[A-Za-z0-9_-]{0,64}$',
      default: '',
      allowed: 'up to 64 letters, digits, hyphens and underscores',
      description:
        'Name of this node, different from those of all others. Empty: the name of the host.',
    },
    secret: {
      type: 'string',
      default: '',
      secret: true,
      allowed: 'a string of at least 32 random characters, the same on all nodes',
      description:
        'Key of the UDP connection ids, so that an id is valid on every node. Required with servers.',
    },
    user: {
      type: 'string',
      default: '',
      description: 'User name for the NATS servers.',
    },
    password: {
      type: 'string',
      default: '',
      secret: true,
      description: 'Password for the NATS servers.',
    },
    tls_ca: {
      ...filePath(
        '',
        'Certificate (PEM) of the authority that signed those of the NATS servers. Empty: the authorities that Node.js trusts.',
      ),
      minLength: 0,
      allowed: 'the path of a file, or ""',
    },
    tls_cert: {
      ...filePath('', 'Client certificate (PEM) for the NATS servers.'),
      minLength: 0,
      allowed: 'the path of a file, or ""',
    },
    tls_key: {
      ...filePath('', 'Key of tls_cert (PEM).'),
      minLength: 0,
      allowed: 'the path of a file, or ""',
    },
    join_timeout: {
      type: 'integer',
      default: 30,
      minimum: 1,
      maximum: 3600,
      unit: 'seconds',
      description:
        'Longest wait at startup for the swarms of another node. Until then /ready answers 503, though announces are answered.',
    },
    backlog: {
      type: 'integer',
      default: 64,
      minimum: 1,
      maximum: 4096,
      unit: 'MiB',
      description:
        'MiB of memory for announces that could not be sent because no NATS server was reachable, 48 bytes each. When it is full, the oldest are dropped, and the other nodes fetch the missing ones later.',
    },
    counts: switchedOff(
      'Send the transferred bytes of clients with every announce, so that the API shows them on every node. They are always sent where users are enabled.',
    ),
    leases: switchedOn(
      'Send an announce that changes nothing about a peer to the other nodes only every fourth time. The node that the peer announces to removes it everywhere after the timeout. Without effect with counts, and where users are enabled.',
    ),
  },
} as const satisfies SectionSchema
