import type { Failure } from './failures.ts'

/**
 * RtcTorrent: WebRTC signalling over HTTP announces, as Torrust-Actix defines it (RtcTorrent.md). A
 * seeder leaves an offer, a leecher fetches offers and leaves an answer, and the seeder fetches its
 * answers with its next announce.
 */

/** Bytes of an offer or an answer. The headers of a request are limited to 16 KiB anyway. */
export const DESCRIPTION_BYTES_MAX = 16 * 1024

/** An announce with `rtctorrent=1`, as plain data that can cross a process border. */
export type RtcRequest = {
  /** The announce record (records.ts), with address and keys. */
  readonly record: Uint8Array
  /** Session descriptions; undefined if absent. */
  readonly offer: string | undefined
  readonly answer: string | undefined
  /** The peer id that the answer is for, 40 lower-case hex digits. */
  readonly answerFor: string | undefined
}

/** A session description, and the peer id that it comes from in 40 hex digits. */
export type Description = readonly [peerId: string, text: string]

export type RtcReply = {
  readonly failure: Failure
  readonly seeders: number
  readonly leechers: number
  readonly offers: readonly Description[]
  readonly answers: readonly Description[]
}

/** Answers announces with `rtctorrent=1`. */
export type RtcSignalling = (request: RtcRequest) => Promise<RtcReply>

/** Parameters of RtcTorrent; undefined for a value that is not valid UTF-8 or too long. */
export type RtcQuery = Pick<RtcRequest, 'offer' | 'answer' | 'answerFor'> & {
  /** The query without these parameters. */
  readonly rest: string
}

/** Splits a query, still percent-encoded. Undefined for a value that is malformed or too long. */
export function splitRtcQuery(query: string): RtcQuery | undefined {
  const rest: string[] = []
  const values = new Map<string, string>()
  for (const part of query.split('&')) {
    const name = part.slice(0, Math.max(0, part.indexOf('='))).toLowerCase()
    if (!name.startsWith('rtc')) {
      rest.push(part)
      continue
    }
    const value = decodeText(part.slice(name.length + 1))
    if (value === undefined) return undefined
    if (!values.has(name)) values.set(name, value)
  }
  return {
    offer: values.get('rtcoffer') || undefined,
    answer: values.get('rtcanswer') || undefined,
    answerFor: values.get('rtcanswerfor')?.toLowerCase(),
    rest: rest.join('&'),
  }
}

function decodeText(text: string): string | undefined {
  try {
    const decoded = decodeURIComponent(text)
    return Buffer.byteLength(decoded) <= DESCRIPTION_BYTES_MAX ? decoded : undefined
  } catch {
    return undefined
  }
}

/** The bencoded answer. `interval` is in seconds. */
export function formatRtcReply(
  { answers, leechers, offers, seeders }: RtcReply,
  interval: number,
): Buffer {
  return Buffer.concat([
    Buffer.from(`d8:completei${seeders}e10:incompletei${leechers}e12:rtc intervali${interval}e`),
    Buffer.from('11:rtc_answersl'),
    ...answers.map(answer => formatDescription(answer, 'sdp_answer')),
    Buffer.from('e9:rtc_peersl'),
    ...offers.map(offer => formatDescription(offer, 'sdp_offer')),
    Buffer.from('ee'),
  ])
}

function formatDescription([peerId, text]: Description, name: string): Buffer {
  const bytes = Buffer.from(text)
  return Buffer.concat([
    Buffer.from('d7:peer_id20:'),
    Buffer.from(peerId, 'hex'),
    Buffer.from(`${name.length}:${name}${bytes.length}:`),
    bytes,
    Buffer.from('e'),
  ])
}
