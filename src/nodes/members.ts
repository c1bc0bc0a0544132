/** The state that a node sends to the others every HEARTBEAT_MILLIS, as JSON. */
export type Heartbeat = {
  readonly name: string
  /** Unix second and a random number of the node's start. */
  readonly epoch: number
  readonly id: number
  readonly version: string
  /** Of its last batch, and of its last administrative change. */
  readonly sequence: number
  readonly changes: number
  /** Unix time in milliseconds. */
  readonly millis: number
  readonly torrents: number
  readonly peers: number
  /** Announces that it received from its own clients since its start. */
  readonly announces: number
  /** It holds the swarm. */
  readonly joined: boolean
  /** It joined because no other node was there. */
  readonly alone: boolean
  /** Digest of the settings that all nodes should share. */
  readonly settings: string
  /** It reports its WebSocket peers, and relays offers and answers to them. */
  readonly relays: boolean
  /** How often it lost another node. The others then send it all of their peers again. */
  readonly losses: number
}

/** The node's stream of batches, as far as it was received. */
export type Stream = { readonly epoch: number; sequence: number; base: number }

export type Member = {
  readonly name: string
  heartbeat: Heartbeat | undefined
  /** Milliseconds of the monotonic clock. */
  receivedMillis: number
  isUp: boolean
  stream: Stream | undefined
  /** Number of the last administrative change that was received, and the epoch of its node. */
  changes: number
  changesEpoch: number
  /** Epoch from which on its announces are known here; 0 before. */
  syncedEpoch: number
  /** Seconds that its last batch took, and that its clock is ahead. */
  lagSeconds: number
  clockSeconds: number
  /** The same by each of the last heartbeats. */
  readonly clocks: number[]
  /** Announces per second, between its last two heartbeats. */
  rate: number
  /** Batches that were refused. */
  refused: number
}

export const HEARTBEAT_MILLIS = 2000
/** Three heartbeats missed. */
const SILENCE_MILLIS_MAX = 6500
/** Heartbeats by which a clock is compared: those of a minute. */
const CLOCKS_MAX = 30
/** Names that are remembered, and for how long after their last heartbeat. */
const MEMBERS_MAX = 256
const REMEMBERED_MILLIS = 24 * 3600 * 1000

/** The other nodes, by name. */
export class Members {
  readonly #byName = new Map<string, Member>()

  /** The node of this name, added if it is new; undefined if there are too many. */
  of(name: string): Member | undefined {
    const known = this.#byName.get(name)
    if (known) return known
    if (this.#byName.size >= MEMBERS_MAX) return undefined
    const member: Member = {
      name,
      heartbeat: undefined,
      receivedMillis: Number.NEGATIVE_INFINITY,
      isUp: false,
      stream: undefined,
      changes: 0,
      changesEpoch: 0,
      syncedEpoch: 0,
      lagSeconds: 0,
      clockSeconds: 0,
      clocks: [],
      rate: 0,
      refused: 0,
    }
    this.#byName.set(name, member)
    return member
  }

  get(name: string): Member | undefined {
    return this.#byName.get(name)
  }

  /** Takes a heartbeat. Returns whether the node was not up before. */
  note(member: Member, heartbeat: Heartbeat, nowMillis: number): boolean {
    const before = member.heartbeat
    const isBack = !member.isUp || before?.id !== heartbeat.id
    if (before && before.id === heartbeat.id && heartbeat.millis > before.millis) {
      const seconds = (heartbeat.millis - before.millis) / 1000
      member.rate = Math.max(0, (heartbeat.announces - before.announces) / seconds)
    } else member.rate = 0
    member.heartbeat = heartbeat
    member.receivedMillis = nowMillis
    member.isUp = true
    // A node that was silent, or this one, has heartbeats that waited: older ones show the clock.
    if (before?.id !== heartbeat.id) member.clocks.length = 0
    member.clocks.push((heartbeat.millis - Date.now()) / 1000)
    if (member.clocks.length > CLOCKS_MAX) member.clocks.shift()
    // A heartbeat that was late makes the clock seem to be behind: the fastest one shows it.
    member.clockSeconds = Math.max(...member.clocks)
    return isBack
  }

  /** Returns the nodes that have fallen silent since the last call, and forgets old ones. */
  takeSilent(nowMillis: number): Member[] {
    const silent: Member[] = []
    for (const member of this.#byName.values()) {
      const silence = nowMillis - member.receivedMillis
      if (member.isUp && silence > SILENCE_MILLIS_MAX) {
        member.isUp = false
        member.rate = 0
        silent.push(member)
      } else if (silence > REMEMBERED_MILLIS && member.heartbeat) this.#byName.delete(member.name)
    }
    return silent
  }

  all(): Member[] {
    return [...this.#byName.values()]
  }

  up(): Member[] {
    return this.all().filter(({ isUp }) => isUp)
  }
}

/** Reads a heartbeat; undefined if it is not one that this version understands. */
export function readHeartbeat(data: Buffer): Heartbeat | undefined {
  let read: unknown
  try {
    read = JSON.parse(data.toString('utf8'))
  } catch {
    return undefined
  }
  if (typeof read !== 'object' || read === null) return undefined
  const fields = read as Record<string, unknown>
  const areNumbers = NUMBERS.every(name => Number.isFinite(fields[name]))
  const areTexts = TEXTS.every(name => {
    const text = fields[name]
    return typeof text === 'string' && text.length <= 100
  })
  const areFlags = FLAGS.every(name => typeof fields[name] === 'boolean')
  if (!areNumbers || !areTexts || !areFlags) return undefined
  return {
    ...(fields as Omit<Heartbeat, 'relays' | 'losses'>),
    relays: fields['relays'] === true,
    losses: Number(fields['losses'] ?? 0),
  }
}

const NUMBERS = [
  'epoch',
  'id',
  'sequence',
  'changes',
  'millis',
  'torrents',
  'peers',
  'announces',
] as const
const TEXTS = ['name', 'version', 'settings'] as const
const FLAGS = ['joined', 'alone'] as const
