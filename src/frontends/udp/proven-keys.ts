import type { Bytes } from '../../protocol/bytes.ts'
import { HASH_BYTES, KEY, SCRAPE_KEY, SCRAPE_USER_KEY, USER_KEY } from '../../protocol/records.ts'
import {
  type ClientAddress,
  type ConnectionSecret,
  hashAddress,
} from '../../protocol/udp/connection-id.ts'

/**
 * The keys that addresses have announced with, for their scrapes. A scrape over UDP rarely names a
 * key: BEP 41 gives the path to announces only. The connection id proves the address of a scrape,
 * so a scrape is given the keys of the last announce from its address that was accepted. The engine
 * checks them again: a key that has expired or was deleted since is refused.
 *
 * The table is direct-mapped: an address whose hash falls into an occupied entry replaces it, and
 * the other address needs a key until its next announce. The hash is keyed, so a client cannot
 * choose which entry is replaced. Threads read and write without a lock: a half-written entry holds
 * no valid key, or the tag of another address.
 */
export type ProvenKeys = { readonly secret: ConnectionSecret; readonly entries: Bytes }

const ENTRIES = 65_536 // a power of two

/** An entry, which is one cache line. Offsets in bytes. */
const TAG = 0 // 8: hash of the address
const PROVEN_KEY = 8 // 20
const PROVEN_USER_KEY = 28 // 20
const ENTRY_BYTES = 64

/** Memory that all threads of a tracker share; pages that are never touched take no space. */
export function createProvenKeys(): SharedArrayBuffer {
  return new SharedArrayBuffer(ENTRIES * ENTRY_BYTES)
}

export function openProvenKeys(memory: SharedArrayBuffer, secret: ConnectionSecret): ProvenKeys {
  return { secret, entries: { u8: new Uint8Array(memory), view: new DataView(memory) } }
}

/** Result of the read in `entryOfAddress`, stored so that the compiler does not remove it. */
const touched = { bits: 0 }

/**
 * The entry of the address, for `storeKeys`. Called before the announce is answered: it reads the
 * entry, so that the processor loads it together with the other memory that the announce needs.
 */
export function entryOfAddress({ entries, secret }: ProvenKeys, address: ClientAddress): number {
  hashAddress(secret, address, tag)
  const entry = entryOf(tag)
  touched.bits ^= entries.view.getInt32(entry + TAG)
  return entry
}

/**
 * Stores the keys of the announce record for the address of the last call of `entryOfAddress`,
 * which returned `entry`. A client announces with the same keys again and again: memory that is not
 * written again stays in the caches of all threads.
 */
export function storeKeys({ entries }: ProvenKeys, entry: number, record: Bytes): void {
  if (
    hasTag(entries, entry) &&
    isSameKey(record, USER_KEY, entries, entry + PROVEN_USER_KEY) &&
    isSameKey(record, KEY, entries, entry + PROVEN_KEY)
  ) {
    return
  }
  // No reader may mistake the new keys for those of the previous address.
  entries.view.setInt32(entry + TAG, 0)
  entries.view.setInt32(entry + TAG + 4, 0)
  copyKey(record, KEY, entries, entry + PROVEN_KEY)
  copyKey(record, USER_KEY, entries, entry + PROVEN_USER_KEY)
  entries.view.setInt32(entry + TAG, tag[0] as number)
  entries.view.setInt32(entry + TAG + 4, tag[1] as number)
}

/**
 * Writes the keys of the address to the scrape record at `at`. Returns false where the address has
 * not announced.
 */
export function recallKeys(
  { entries, secret }: ProvenKeys,
  address: ClientAddress,
  record: Bytes,
  at: number,
): boolean {
  hashAddress(secret, address, tag)
  const entry = entryOf(tag)
  if (!hasTag(entries, entry)) return false
  copyKey(entries, entry + PROVEN_KEY, record, at + SCRAPE_KEY)
  copyKey(entries, entry + PROVEN_USER_KEY, record, at + SCRAPE_USER_KEY)
  return true
}

const tag = new Int32Array(2)

function entryOf(hash: Int32Array): number {
  return ((hash[0] as number) & (ENTRIES - 1)) * ENTRY_BYTES
}

/** Whether the entry is that of the address whose hash is `tag`. */
function hasTag({ view }: Bytes, entry: number): boolean {
  return view.getInt32(entry + TAG) === tag[0] && view.getInt32(entry + TAG + 4) === tag[1]
}

function isSameKey(one: Bytes, at: number, other: Bytes, otherAt: number): boolean {
  for (let n = 0; n < HASH_BYTES; n += 4) {
    if (one.view.getInt32(at + n) !== other.view.getInt32(otherAt + n)) return false
  }
  return true
}

function copyKey(from: Bytes, at: number, to: Bytes, toAt: number): void {
  for (let n = 0; n < HASH_BYTES; n += 4) to.view.setInt32(toAt + n, from.view.getInt32(at + n))
}
