import { existsSync, readFileSync } from 'node:fs'
import { endOf, unixSeconds } from '../database/key-times.ts'
import { ExitStatus, OperatorError } from '../errors.ts'
import { type KeyFormat, normalKey } from '../protocol/key.ts'
import type { ImportRow } from './import.ts'
import { faultOfRow, KINDS, type Kind, type TorrustActixFiles, toRow } from './rows.ts'

/**
 * The rows of those files that exist: maps from a hash to its values, or lists of hashes. A value
 * may be a count or an object that contains it. Throws an OperatorError for anything else, and if
 * none of the files exists.
 */
export function* readTorrustActix(
  files: TorrustActixFiles,
  format: KeyFormat,
): Generator<ImportRow> {
  const found = KINDS.filter(kind => existsSync(files[kind]))
  if (found.length === 0) {
    const names = KINDS.map(kind => files[kind]).join(', ')
    throw new OperatorError(`none of these files exists: ${names}`, ExitStatus.dataError)
  }
  for (const kind of found) {
    const path = files[kind]
    for (const [name, value] of entriesOf(path)) {
      const row = rowOf(kind, stored(name), value)
      const fault = faultOfRow(kind, row, format)
      if (fault !== undefined)
        throw new OperatorError(`${path}: ${name}: ${fault}`, ExitStatus.dataError)
      yield { kind, row: toRow(kind as Kind, row) } as ImportRow
    }
  }
}

/** A hash or a key as it is stored: hexadecimal digits in lower case. */
function stored(name: string): string {
  return normalKey(name, 'text') ?? name
}

function entriesOf(path: string): [name: string, value: unknown][] {
  let content: unknown
  try {
    content = JSON.parse(readFileSync(path, 'utf8'))
  } catch (error) {
    throw new OperatorError(`${path}: ${(error as Error).message}`, ExitStatus.dataError)
  }
  if (Array.isArray(content)) return content.map(entry => [nameOf(entry), entry])
  if (typeof content === 'object' && content !== null) return Object.entries(content)
  throw new OperatorError(`${path}: neither a list nor a map`, ExitStatus.dataError)
}

/** The hash of an entry of a list: the entry itself, or a field or the first item of it. */
function nameOf(entry: unknown): string {
  if (typeof entry === 'string') return entry
  if (Array.isArray(entry)) return String(entry[0])
  const { info_hash, infohash, hash, key } = (entry ?? {}) as Record<string, unknown>
  return String(info_hash ?? infohash ?? hash ?? key ?? '')
}

function rowOf(kind: Kind, name: string, value: unknown): object {
  const fields = (typeof value === 'object' && value !== null ? value : {}) as Record<
    string,
    unknown
  >
  const number = (field: string) => Number(fields[field] ?? 0)
  const own = Array.isArray(value) ? value[1] : value
  const now = unixSeconds()
  switch (kind) {
    case 'torrent':
      return {
        hash: name,
        // In that format `seeds` and `peers` are maps of peers, which do not outlive a move.
        seeds: 0,
        peers: 0,
        completed: typeof own === 'number' ? own : number('completed'),
      }
    case 'key':
      return { hash: name, timeout: endOf(typeof own === 'number' ? own : number('timeout'), now) }
    case 'user': {
      const id = fields['user_uuid'] ?? fields['uuid'] ?? fields['user_id'] ?? fields['id']
      return {
        id: String(id ?? ''),
        key: stored(String(fields['key'] ?? name)),
        uploaded: number('uploaded'),
        downloaded: number('downloaded'),
        completed: number('completed'),
        updated: number('updated'),
        active: Number(fields['active'] ?? 1) === 1 || fields['active'] === true,
      }
    }
    default:
      return { hash: name }
  }
}
