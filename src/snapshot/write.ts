import { type FileHandle, open, rm } from 'node:fs/promises'
import { openAccess } from '../engine/access.ts'
import { type EngineTables, type OpenTables, openTables } from '../engine/engine.ts'
import { createExportCursor, type ExportCursor, exportChunk } from '../engine/export-stripe.ts'
import { exportUsers, type UserCursor } from '../engine/stored-owners.ts'
import { RECORD_BYTES_MAX } from '../engine/torrent-record.ts'
import { totals } from '../engine/totals.ts'
import { allocate, type Bytes } from '../protocol/bytes.ts'
import { musterVersion } from '../version.ts'
import { countRecords } from './count-records.ts'
import { removeLeftovers, replaceFile, temporaryFile } from './files.ts'
import {
  type Counts,
  END_BYTES,
  HEADER_BYTES,
  packMetadata,
  SECTION_HEAD_BYTES,
  SECTION_PAYLOAD_MAX,
  SectionKind,
  writeEnd,
  writeHeader,
  writeSectionHead,
} from './format.ts'
import { createJobWords, createPace, type JobWords, throwIfStopped } from './job-words.ts'
import { SnapshotError, type WriteReport } from './report.ts'

export type WriteOptions = {
  readonly tables: EngineTables
  readonly file: string
  /** Unix seconds, from the clock of announces. */
  readonly nowSeconds: number
  /** Maximum share of one processor, 0 to 1. Defaults to 1. */
  readonly share?: number
  readonly words?: JobWords
}

/** Sections are short, so that the work between two pauses is short too. A record fits. */
const SECTION_BYTES = Math.min(SECTION_PAYLOAD_MAX, 2 * RECORD_BYTES_MAX)

/** A snapshot that is being written. */
type Output = {
  readonly handle: FileHandle
  /** One section, its head included. */
  readonly section: Bytes
  crc: number
  bytes: number
}

/**
 * Writes all swarms to `file` while they are in use, in constant memory, and returns when they are
 * on disk. The existing snapshot becomes `file.previous`. A peer that moves while its list is read
 * may be missing. Rejects with a SnapshotError on failure, and leaves existing files unchanged.
 */
export async function writeSnapshot(options: WriteOptions): Promise<WriteReport> {
  const { file, nowSeconds } = options
  const begun = performance.now()
  const temporary = temporaryFile(file)
  try {
    await removeLeftovers(file)
    // The file contains addresses of people, so only its owner can read it.
    const handle = await open(temporary, 'wx', 0o600)
    let written: Counts & { bytes: number }
    try {
      written = await writeContents(handle, options)
      await handle.sync()
    } finally {
      await handle.close()
    }
    await replaceFile(temporary, file)
    const millis = Math.round(performance.now() - begun)
    return { file, createdSeconds: nowSeconds, ...written, millis }
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => {})
    throw writeError(file, error)
  }
}

function writeError(file: string, error: unknown): unknown {
  const { code, errno, message } = error as NodeJS.ErrnoException
  if (errno === undefined) return error
  const full = code === 'ENOSPC' || code === 'EDQUOT' || code === 'EFBIG'
  const why = full ? `there is not enough space for it (${code})` : message
  return new SnapshotError(
    `cannot write the snapshot ${file}: ${why}. The last snapshot is unchanged.`,
    { cause: error },
  )
}

async function writeContents(
  handle: FileHandle,
  { tables, nowSeconds, share = 1, words = createJobWords() }: WriteOptions,
): Promise<Counts & { bytes: number }> {
  const open = openTables(tables)
  const header = allocate(HEADER_BYTES)
  const section = allocate(SECTION_HEAD_BYTES + SECTION_BYTES)
  const output: Output = { handle, section, crc: writeHeader(header, nowSeconds), bytes: 0 }
  await writeAll(output, header.u8)

  const { torrents, peers } = totals(open)
  const metadata = packMetadata({
    created: nowSeconds,
    version: musterVersion(),
    torrents,
    // WebSocket peers are left out: they do not outlive their connection.
    peers: peers.slice(0, 2),
  })
  section.u8.set(metadata, SECTION_HEAD_BYTES)
  await writeSection(output, SectionKind.metadata, metadata.length)

  await writeUsers(output, tables)
  const counts: Counts = { torrents: 0, peers: [0, 0] }
  await writeTorrents(output, open, counts, words, createPace(share, words))
  writeEnd(section.view, SECTION_HEAD_BYTES, counts)
  await writeSection(output, SectionKind.end, END_BYTES)
  return { ...counts, bytes: output.bytes }
}

async function writeUsers(output: Output, tables: EngineTables): Promise<void> {
  const access = openAccess(tables.access)
  const cursor: UserCursor = { place: 0 }
  while (access.rules.users && cursor.place !== -1) {
    const end = exportUsers(access, cursor, output.section, SECTION_HEAD_BYTES)
    if (end === SECTION_HEAD_BYTES) return
    await writeSection(output, SectionKind.users, end - SECTION_HEAD_BYTES)
  }
}

async function writeTorrents(
  output: Output,
  tables: OpenTables,
  counts: Counts,
  words: JobWords,
  rest: () => void,
): Promise<void> {
  const { section } = output
  let at = SECTION_HEAD_BYTES
  const flush = async () => {
    throwIfStopped(words)
    if (at === SECTION_HEAD_BYTES) return
    countRecords(section.view, SECTION_HEAD_BYTES, at, counts)
    await writeSection(output, SectionKind.torrents, at - SECTION_HEAD_BYTES)
    at = SECTION_HEAD_BYTES
  }
  for (let stripe = 0; stripe < tables.stripeCount; stripe++) {
    const cursor: ExportCursor = createExportCursor(stripe)
    while (!cursor.done) {
      if (section.u8.length - at < RECORD_BYTES_MAX) await flush()
      at = exportChunk(tables, cursor, section, at)
      rest()
    }
  }
  await flush()
}

async function writeSection(output: Output, kind: number, length: number): Promise<void> {
  output.crc = writeSectionHead(output.section, kind, length, output.crc)
  await writeAll(output, output.section.u8.subarray(0, SECTION_HEAD_BYTES + length))
}

async function writeAll(output: Output, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length; ) {
    at += (await output.handle.write(bytes, at, bytes.length - at)).bytesWritten
  }
  output.bytes += bytes.length
}
