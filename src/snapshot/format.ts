import { crc32 } from 'node:zlib'
import { Packr } from 'msgpackr'
import {
  RECORD_COMPACT_BYTES,
  RECORD_DETAIL_BYTES,
  RECORD_HEAD_BYTES,
} from '../engine/torrent-record.ts'
import type { Bytes } from '../protocol/bytes.ts'
import { readU64, writeU64 } from '../protocol/records.ts'
import { SnapshotError } from './report.ts'

/**
 * A snapshot file: a header, then sections. Offsets in bytes, integers little-endian. The sections
 * are one of metadata, any number with torrents, and one end. The checksum of each section
 * continues the one before it, and the first one the header's, so a missing, repeated, moved or
 * foreign section is detected like a wrong byte.
 */
const MAGIC = Buffer.from('MUSTERSN')
export const FORMAT_VERSION = 1

const HEADER_MAGIC = 0 // 8
const HEADER_VERSION = 8 // u32
const HEADER_CREATED = 12 // u32, Unix seconds
const HEADER_IPV4_WIDTH = 16 // u16, bytes of a compact peer
const HEADER_IPV6_WIDTH = 18 // u16
const HEADER_DETAIL_BYTES = 20 // u16
const HEADER_RECORD_BYTES = 22 // u16, head of a torrent record
const HEADER_CRC = 24 // u32, of the bytes before
export const HEADER_BYTES = 28

const SECTION_CRC = 0 // u32, of kind, length and payload
const SECTION_KIND = 4 // u32
const SECTION_LENGTH = 8 // u32, bytes of the payload
export const SECTION_HEAD_BYTES = 12
export const SECTION_PAYLOAD_MAX = 1024 * 1024

export const SectionKind = {
  /** Encoded with msgpack, see Metadata. */
  metadata: 1,
  /** Whole records of torrent-record.ts. */
  torrents: 2,
  /** Totals of the sections before (END_*). The last section. */
  end: 3,
  /** Whole users of stored-owners.ts, before the torrents; none where users are off. */
  users: 4,
} as const

const END_TORRENTS = 0 // u64
const END_PEERS = [8, 16] as const // u64 per family
export const END_BYTES = 24

export type Metadata = {
  /** Unix seconds. */
  readonly created: number
  /** Version of muster that wrote the file. */
  readonly version: string
  /** Counts of the tables at the start of the snapshot. */
  readonly torrents: number
  readonly peers: readonly number[]
}

/** Totals of the torrent sections. */
export type Counts = { torrents: number; readonly peers: [number, number] }

/** The file is not a complete snapshot that this version can read. */
export class SnapshotDamaged extends SnapshotError {}

/** Plain maps, so that each value can be decoded on its own. */
const packr = new Packr({ useRecords: false })

export function packMetadata(metadata: Metadata): Uint8Array {
  return packr.pack(metadata)
}

/** Writes the header at the start of `into` and returns its checksum. */
export function writeHeader(into: Bytes, createdSeconds: number): number {
  const { u8, view } = into
  u8.set(MAGIC, HEADER_MAGIC)
  view.setUint32(HEADER_VERSION, FORMAT_VERSION, true)
  view.setUint32(HEADER_CREATED, createdSeconds, true)
  view.setUint16(HEADER_IPV4_WIDTH, RECORD_COMPACT_BYTES[0], true)
  view.setUint16(HEADER_IPV6_WIDTH, RECORD_COMPACT_BYTES[1], true)
  view.setUint16(HEADER_DETAIL_BYTES, RECORD_DETAIL_BYTES, true)
  view.setUint16(HEADER_RECORD_BYTES, RECORD_HEAD_BYTES, true)
  const crc = crc32(u8.subarray(0, HEADER_CRC))
  view.setUint32(HEADER_CRC, crc, true)
  return crc
}

/** Reads a header of HEADER_BYTES at the start of `from`. Throws SnapshotDamaged. */
export function readHeader(from: Bytes): { readonly createdSeconds: number; readonly crc: number } {
  const { u8, view } = from
  if (MAGIC.compare(u8.subarray(HEADER_MAGIC, MAGIC.length)) !== 0) {
    throw new SnapshotDamaged('it is not a snapshot')
  }
  const crc = crc32(u8.subarray(0, HEADER_CRC))
  if (crc !== view.getUint32(HEADER_CRC, true)) throw new SnapshotDamaged('its header is damaged')
  const version = view.getUint32(HEADER_VERSION, true)
  if (version !== FORMAT_VERSION) {
    throw new SnapshotDamaged(
      `its format is version ${version}; this muster reads version ${FORMAT_VERSION}`,
    )
  }
  if (
    view.getUint16(HEADER_IPV4_WIDTH, true) !== RECORD_COMPACT_BYTES[0] ||
    view.getUint16(HEADER_IPV6_WIDTH, true) !== RECORD_COMPACT_BYTES[1] ||
    view.getUint16(HEADER_DETAIL_BYTES, true) !== RECORD_DETAIL_BYTES ||
    view.getUint16(HEADER_RECORD_BYTES, true) !== RECORD_HEAD_BYTES
  ) {
    throw new SnapshotDamaged('its records have another layout')
  }
  return { createdSeconds: view.getUint32(HEADER_CREATED, true), crc }
}

/** Writes the head of a section before its `length` bytes of payload. Returns its checksum. */
export function writeSectionHead(
  section: Bytes,
  kind: number,
  length: number,
  previousCrc: number,
): number {
  section.view.setUint32(SECTION_KIND, kind, true)
  section.view.setUint32(SECTION_LENGTH, length, true)
  const crc = sectionCrc(section, length, previousCrc)
  section.view.setUint32(SECTION_CRC, crc, true)
  return crc
}

function sectionCrc(section: Bytes, length: number, previousCrc: number): number {
  return crc32(section.u8.subarray(SECTION_KIND, SECTION_HEAD_BYTES + length), previousCrc)
}

/** Kind of the section whose head has been read. */
export function sectionKind(section: Bytes): number {
  return section.view.getUint32(SECTION_KIND, true)
}

/** Payload bytes of a section by its head. Throws SnapshotDamaged above the maximum. */
export function sectionLength(section: Bytes): number {
  const length = section.view.getUint32(SECTION_LENGTH, true)
  if (length > SECTION_PAYLOAD_MAX) throw new SnapshotDamaged('a section is damaged')
  return length
}

/** Checks a complete section and returns its checksum. Throws SnapshotDamaged. */
export function checkSection(section: Bytes, length: number, previousCrc: number): number {
  const crc = sectionCrc(section, length, previousCrc)
  if (crc !== section.view.getUint32(SECTION_CRC, true)) {
    throw new SnapshotDamaged('a section is damaged')
  }
  return crc
}

export function writeEnd(view: DataView, at: number, counts: Counts): void {
  writeU64(view, at + END_TORRENTS, counts.torrents)
  for (const family of [0, 1] as const) {
    writeU64(view, at + END_PEERS[family], counts.peers[family])
  }
}

export function readEnd(view: DataView, at: number): Counts {
  return {
    torrents: readU64(view, at + END_TORRENTS),
    peers: [readU64(view, at + END_PEERS[0]), readU64(view, at + END_PEERS[1])],
  }
}
