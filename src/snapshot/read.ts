import { type FileHandle, open } from 'node:fs/promises'
import {
  type Engine,
  type EngineSettings,
  type EngineTables,
  openEngine,
} from '../engine/engine.ts'
import { type Imported, type ImportRules, importRecord } from '../engine/import-record.ts'
import {
  createStoredOwners,
  readStoredUsers,
  STORED_USER_BYTES,
  type StoredOwners,
} from '../engine/stored-owners.ts'
import { allocate, type Bytes } from '../protocol/bytes.ts'
import { countRecords } from './count-records.ts'
import { damagedFile, previousFile, renameIfThere } from './files.ts'
import {
  type Counts,
  checkSection,
  END_BYTES,
  HEADER_BYTES,
  readEnd,
  readHeader,
  SECTION_HEAD_BYTES,
  SECTION_PAYLOAD_MAX,
  SectionKind,
  SnapshotDamaged,
  sectionKind,
  sectionLength,
} from './format.ts'
import { createJobWords, type JobWords, throwIfStopped } from './job-words.ts'
import type { RestoreReport, SnapshotContents } from './report.ts'

export type RestoreOptions = {
  readonly tables: EngineTables
  readonly settings: EngineSettings
  readonly file: string
  /** Unix seconds, from the clock of announces. */
  readonly nowSeconds: number
  readonly words?: JobWords
  /** Whether the users of a database are loaded. Peers of other users then stay out. */
  readonly usersAreLoaded?: boolean
}

type RestoreRules = ImportRules & { readonly owners: StoredOwners }

/** One checked section. The payload follows its head, in memory that the next section reuses. */
type Section = { readonly kind: number; readonly bytes: Bytes; readonly end: number }

/**
 * Loads the snapshot `file`, or otherwise `file.previous`, into tables that may be in use. A file
 * is checked completely before its first peer is inserted. A damaged file is renamed to
 * `file.damaged`. A missing file is not an error. Rejects only after a stop, or if the tables
 * themselves fail.
 */
export async function restoreSnapshot(options: RestoreOptions): Promise<RestoreReport> {
  const { file, tables, settings, nowSeconds, words = createJobWords() } = options
  const begun = performance.now()
  const engine = openEngine(tables, settings)
  const owners = createStoredOwners(engine, options.usersAreLoaded === true)
  const rules = { nowSeconds, settings, owners }
  const imported: Imported = { torrents: 0, peers: [0, 0], expired: 0, newer: 0, refused: 0 }
  const skipped: { file: string; reason: string }[] = []
  let missing = 0
  let loaded: { file: string; contents: SnapshotContents } | undefined
  for (const candidate of [file, previousFile(file)]) {
    try {
      const contents = await load(candidate, engine, rules, imported, words)
      loaded = { file: candidate, contents }
      break
    } catch (error) {
      if (!isFileError(error)) throw error
      if ('code' in error && error.code === 'ENOENT') missing++
      skipped.push({ file: candidate, reason: error.message })
      if (candidate === file && error instanceof SnapshotDamaged) {
        await renameIfThere(file, damagedFile(file)).catch(() => false)
      }
    }
  }
  return {
    file: loaded?.file,
    contents: loaded?.contents,
    ...imported,
    millis: Math.round(performance.now() - begun),
    // At the first start there is no snapshot.
    skipped: missing === 2 ? [] : skipped,
  }
}

/** Whether the file is the cause. Any other error is a bug, and may have left a stripe locked. */
function isFileError(error: unknown): error is Error {
  return error instanceof SnapshotDamaged || (error as NodeJS.ErrnoException).errno !== undefined
}

async function load(
  file: string,
  engine: Engine,
  rules: RestoreRules,
  imported: Imported,
  words: JobWords,
): Promise<SnapshotContents> {
  const handle = await open(file, 'r')
  try {
    const section = allocate(SECTION_HEAD_BYTES + SECTION_PAYLOAD_MAX)
    const contents = await verify(handle, section, words)
    for await (const { kind, bytes, end } of sections(handle, section, words)) {
      if (kind === SectionKind.users) {
        readStoredUsers(rules.owners, bytes, SECTION_HEAD_BYTES, end)
      }
      if (kind !== SectionKind.torrents) continue
      for (let at = SECTION_HEAD_BYTES; at < end; ) {
        at = importRecord(engine, bytes, at, rules, imported)
      }
    }
    return contents
  } finally {
    await handle.close()
  }
}

/** Reads the whole file and returns its totals. Throws SnapshotDamaged. */
async function verify(
  handle: FileHandle,
  section: Bytes,
  words: JobWords,
): Promise<SnapshotContents> {
  const counts: Counts = { torrents: 0, peers: [0, 0] }
  const { createdSeconds } = await readFileHeader(handle)
  let bytes = HEADER_BYTES
  for await (const { kind, bytes: memory, end } of sections(handle, section, words)) {
    bytes += end
    if (kind === SectionKind.torrents) {
      if (!countRecords(memory.view, SECTION_HEAD_BYTES, end, counts)) {
        throw new SnapshotDamaged('a torrent record is malformed')
      }
    } else if (kind === SectionKind.end) {
      checkEnd(memory.view, end, counts)
    } else if (kind === SectionKind.users) {
      if ((end - SECTION_HEAD_BYTES) % STORED_USER_BYTES !== 0) {
        throw new SnapshotDamaged('a user record is malformed')
      }
    } else if (kind !== SectionKind.metadata) {
      throw new SnapshotDamaged(`a section has the unknown kind ${kind}`)
    }
  }
  return { createdSeconds, ...counts, bytes }
}

function checkEnd(view: DataView, end: number, counts: Counts): void {
  const expected = readEnd(view, SECTION_HEAD_BYTES)
  if (
    end !== SECTION_HEAD_BYTES + END_BYTES ||
    expected.torrents !== counts.torrents ||
    expected.peers[0] !== counts.peers[0] ||
    expected.peers[1] !== counts.peers[1]
  ) {
    throw new SnapshotDamaged('its contents do not match the totals at its end')
  }
}

async function readFileHeader(
  handle: FileHandle,
): Promise<{ readonly createdSeconds: number; readonly crc: number }> {
  const header = allocate(HEADER_BYTES)
  if ((await readAt(handle, header.u8, 0, HEADER_BYTES, 0)) < HEADER_BYTES) {
    throw new SnapshotDamaged('it ends too early')
  }
  return readHeader(header)
}

/** Yields all sections of the file, each checked. Throws SnapshotDamaged. */
async function* sections(
  handle: FileHandle,
  section: Bytes,
  words: JobWords,
): AsyncGenerator<Section> {
  let { crc } = await readFileHeader(handle)
  let position = HEADER_BYTES
  let ended = false
  for (;;) {
    throwIfStopped(words)
    const head = await readAt(handle, section.u8, 0, SECTION_HEAD_BYTES, position)
    if (ended && head > 0) throw new SnapshotDamaged('it continues after its end')
    if (ended) return
    if (head < SECTION_HEAD_BYTES) throw new SnapshotDamaged('it ends too early')
    position += head
    const length = sectionLength(section)
    const payload = await readAt(handle, section.u8, SECTION_HEAD_BYTES, length, position)
    if (payload < length) throw new SnapshotDamaged('it ends too early')
    position += payload
    crc = checkSection(section, length, crc)
    const kind = sectionKind(section)
    ended = kind === SectionKind.end
    yield { kind, bytes: section, end: SECTION_HEAD_BYTES + length }
  }
}

/** Reads `bytes` at `position`, fewer only at the end of the file. Returns the count. */
async function readAt(
  handle: FileHandle,
  into: Uint8Array,
  at: number,
  bytes: number,
  position: number,
): Promise<number> {
  let done = 0
  while (done < bytes) {
    const { bytesRead } = await handle.read(into, at + done, bytes - done, position + done)
    if (bytesRead === 0) break
    done += bytesRead
  }
  return done
}
