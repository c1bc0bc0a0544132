import type { Heartbeat, Member, Members } from './members.ts'

/**
 * Head of an administrative change: u32 epoch of the node, u32 number from 1, u8 length of its
 * name.
 */
const HEAD_BYTES = 9

/**
 * The administrative changes of all nodes, in order. A lost change shows by the number of the
 * next one, or by that in a heartbeat: then everything is read again from the database.
 */
export class Changes {
  readonly #epoch: number
  readonly #onChange: (change: Uint8Array) => void
  readonly #onMissed: () => void
  /** Number of the last one that this node sent. */
  sent = 0

  constructor(epoch: number, onChange: (change: Uint8Array) => void, onMissed: () => void) {
    this.#epoch = epoch
    this.#onChange = onChange
    this.#onMissed = onMissed
  }

  /** The message for a change that this node made. */
  wrap(name: string, change: Uint8Array): Buffer {
    this.sent = (this.sent + 1) >>> 0
    const node = Buffer.from(name)
    const message = Buffer.alloc(HEAD_BYTES + node.length + change.length)
    message.writeUInt32LE(this.#epoch, 0)
    message.writeUInt32LE(this.sent, 4)
    message[8] = node.length
    message.set(node, HEAD_BYTES)
    message.set(change, HEAD_BYTES + node.length)
    return message
  }

  receive(message: Buffer, members: Members): void {
    if (message.length < HEAD_BYTES) return
    const epoch = message.readUInt32LE(0)
    const number = message.readUInt32LE(4)
    const end = HEAD_BYTES + (message[8] ?? 0)
    const member = members.of(message.toString('utf8', HEAD_BYTES, end))
    if (!member || message.length < end) return
    const isNext = member.changesEpoch === epoch && number === (member.changes + 1) >>> 0
    const isFirst = member.changesEpoch !== epoch && number === 1
    member.changesEpoch = epoch
    member.changes = number
    if (isNext || isFirst) this.#onChange(new Uint8Array(message.subarray(end)))
    else this.#onMissed()
  }

  /** Compares with the number in a heartbeat, which came after the changes before it. */
  compare(member: Member, { changes, epoch }: Heartbeat): void {
    if (member.changesEpoch === epoch && member.changes === changes) return
    // The first heartbeat of a node that has changed nothing yet misses nothing.
    const isMissed = member.changesEpoch !== epoch ? changes > 0 : true
    member.changesEpoch = epoch
    member.changes = changes
    if (isMissed) this.#onMissed()
  }

  /**
   * The bus was unreachable: what this node sent meanwhile is lost. The numbers show that to the
   * others.
   */
  reconnected(): void {
    this.#onMissed()
  }
}
