import {
  ADDRESS,
  CLIENT_ADDRESS,
  DOWNLOADED,
  FAMILY,
  Family,
  HASH_BYTES,
  INFO_HASH,
  IP_BYTES_MAX,
  LEFT,
  PEER_ID,
  PORT,
  readU64,
  UPLOADED,
} from '../protocol/records.ts'
import type { Exchange } from './current-announce.ts'
import { releaseLock, takeLock } from './tables/lock.ts'

/**
 * The event log: a ring of records in shared memory, one for each announce that a site may want to
 * know of. Every thread appends, one thread takes. When the ring is full, new events are dropped
 * and counted, so that an announce never waits. Without a log nothing is recorded.
 */

/** The kinds of events. */
export const EventKind = { started: 0, completed: 1, stopped: 2, flagged: 3 } as const
export type EventKind = (typeof EventKind)[keyof typeof EventKind]

/** Head of the ring. The counts of events wrap at 2^32. */
const LOG_LOCK = 0 //     i32, see lock.ts; the rest is changed under it
const LOG_WRITTEN = 4 //  u32
const LOG_TAKEN = 8 //    u32
const LOG_DROPPED = 12 // u32
const LOG_HEAD_BYTES = 64

/** A record. Offsets in bytes from its start. */
const EVENT_KIND = 0 //        u8
const EVENT_FAMILY = 1 //      u8
const EVENT_PORT = 2 //        u16
const EVENT_TIME = 4 //        u32, Unix seconds
const EVENT_USER = 8 //        u32, number of the user record; 0 for none
const EVENT_HASH = 12 //       20
const EVENT_PEER_ID = 32 //    20
const EVENT_ADDRESS = 52 //    16; IPv4 in the first four bytes, the client's for WebSocket
const EVENT_UPLOADED = 72 //   f64, bytes, as the client reports them
const EVENT_DOWNLOADED = 80 // f64
const EVENT_LEFT = 88 //       f64
const EVENT_BYTES = 96

/** Can be passed to other threads. */
export type SharedEventLog = SharedArrayBuffer

/** The log as one thread sees it. */
export type EventLog = {
  readonly u8: Uint8Array<SharedArrayBuffer>
  readonly u16: Uint16Array<SharedArrayBuffer>
  readonly i32: Int32Array<SharedArrayBuffer>
  readonly u32: Uint32Array<SharedArrayBuffer>
  readonly f64: Float64Array<SharedArrayBuffer>
  readonly records: number
}

/** An event, as it is taken from the log. Hashes in hexadecimal digits, time in Unix seconds. */
export type EventRecord = {
  readonly kind: EventKind
  readonly family: Family
  /** IPv4 in four bytes, IPv6 in 16; of a WebSocket client, IPv4 is mapped into IPv6. */
  readonly address: Uint8Array
  readonly port: number
  readonly time: number
  /** Number of the user record; 0 for none. */
  readonly user: number
  readonly hash: string
  readonly peerId: string
  readonly uploaded: number
  readonly downloaded: number
  readonly left: number
}

/** Reserves memory for at least `records` events that wait to be taken, 96 bytes each. */
export function createEventLog(records: number): SharedEventLog {
  // A power of two, so that record numbers may wrap at 2^32.
  const capacity = 2 ** Math.ceil(Math.log2(records))
  return new SharedArrayBuffer(LOG_HEAD_BYTES + capacity * EVENT_BYTES)
}

export function openEventLog(memory: SharedEventLog): EventLog {
  return {
    u8: new Uint8Array(memory),
    u16: new Uint16Array(memory),
    i32: new Int32Array(memory),
    u32: new Uint32Array(memory),
    f64: new Float64Array(memory),
    records: (memory.byteLength - LOG_HEAD_BYTES) / EVENT_BYTES,
  }
}

/** Appends the announce as an event of `user`, or counts it as dropped if the log is full. */
export function logEvent(log: EventLog, kind: EventKind, user: number, announce: Exchange): void {
  const { u32, records } = log
  takeLock(log, LOG_LOCK)
  const written = u32[LOG_WRITTEN >> 2]!
  if ((written - u32[LOG_TAKEN >> 2]!) >>> 0 >= records) {
    u32[LOG_DROPPED >> 2]!++
  } else {
    writeEvent(log, recordOf(log, written), kind, user, announce)
    u32[LOG_WRITTEN >> 2] = written + 1
  }
  releaseLock(log, LOG_LOCK)
}

/** Offset of the record of event `number`. */
function recordOf({ records }: EventLog, number: number): number {
  return LOG_HEAD_BYTES + (number % records) * EVENT_BYTES
}

function writeEvent(
  { u8, u16, u32, f64 }: EventLog,
  event: number,
  kind: EventKind,
  user: number,
  { request, at, nowSeconds }: Exchange,
): void {
  const from = request.u8
  const family = from[at + FAMILY]!
  const address = at + (family === Family.websocket ? CLIENT_ADDRESS : ADDRESS)
  u8[event + EVENT_KIND] = kind
  u8[event + EVENT_FAMILY] = family
  u16[(event + EVENT_PORT) >> 1] = request.view.getUint16(at + PORT, true)
  u32[(event + EVENT_TIME) >> 2] = nowSeconds
  u32[(event + EVENT_USER) >> 2] = user
  for (let n = 0; n < HASH_BYTES; n++) {
    u8[event + EVENT_HASH + n] = from[at + INFO_HASH + n]!
    u8[event + EVENT_PEER_ID + n] = from[at + PEER_ID + n]!
  }
  for (let n = 0; n < IP_BYTES_MAX; n++) u8[event + EVENT_ADDRESS + n] = from[address + n]!
  f64[(event + EVENT_UPLOADED) >> 3] = readU64(request.view, at + UPLOADED)
  f64[(event + EVENT_DOWNLOADED) >> 3] = readU64(request.view, at + DOWNLOADED)
  f64[(event + EVENT_LEFT) >> 3] = readU64(request.view, at + LEFT)
}

/** Takes the oldest events, at most `most`. One thread calls it, from time to time. */
export function takeEvents(log: EventLog, most: number): EventRecord[] {
  const { u32 } = log
  takeLock(log, LOG_LOCK)
  const taken = u32[LOG_TAKEN >> 2]!
  const count = Math.min(most, (u32[LOG_WRITTEN >> 2]! - taken) >>> 0)
  const events: EventRecord[] = []
  for (let n = 0; n < count; n++) events.push(readEvent(log, recordOf(log, (taken + n) >>> 0)))
  u32[LOG_TAKEN >> 2] = taken + count
  releaseLock(log, LOG_LOCK)
  return events
}

function readEvent({ u8, u16, u32, f64 }: EventLog, event: number): EventRecord {
  const family = u8[event + EVENT_FAMILY] as Family
  const bytes = family === Family.ipv4 ? 4 : IP_BYTES_MAX
  const hex = (at: number) => Buffer.from(u8.buffer, event + at, HASH_BYTES).toString('hex')
  return {
    kind: u8[event + EVENT_KIND] as EventKind,
    family,
    address: u8.slice(event + EVENT_ADDRESS, event + EVENT_ADDRESS + bytes),
    port: u16[(event + EVENT_PORT) >> 1]!,
    time: u32[(event + EVENT_TIME) >> 2]!,
    user: u32[(event + EVENT_USER) >> 2]!,
    hash: hex(EVENT_HASH),
    peerId: hex(EVENT_PEER_ID),
    uploaded: f64[(event + EVENT_UPLOADED) >> 3]!,
    downloaded: f64[(event + EVENT_DOWNLOADED) >> 3]!,
    left: f64[(event + EVENT_LEFT) >> 3]!,
  }
}

/** Events that were dropped since the start, modulo 2^32, and events that wait to be taken. */
export function eventCounts({ u32 }: EventLog): { dropped: number; waiting: number } {
  return {
    dropped: u32[LOG_DROPPED >> 2]!,
    waiting: (u32[LOG_WRITTEN >> 2]! - u32[LOG_TAKEN >> 2]!) >>> 0,
  }
}
