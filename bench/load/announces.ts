import { createRandom, randomBelow } from '../../src/engine/tables/random.ts'

/** The same announces for the same seed, whoever is asked. */
export type AnnounceMix = {
  readonly torrents: number
  readonly clients: number
  readonly numwant: number
  readonly seed: number
}

/** Info hash of torrent `n`. */
export function infoHashOf(n: number): Buffer {
  const hash = Buffer.alloc(20)
  for (let at = 0; at < 20; at += 4) hash.writeUInt32BE(Math.imul(n + 1, 0x9e3779b1 + at) >>> 0, at)
  return hash
}

function escaped(bytes: Uint8Array): string {
  // As clients do: unreserved characters as they are, all else as %xx.
  return [...bytes]
    .map(byte => {
      const character = String.fromCharCode(byte)
      return /[0-9A-Za-z.~_-]/.test(character)
        ? character
        : `%${byte.toString(16).padStart(2, '0')}`
    })
    .join('')
}

/**
 * `count` request targets: mostly periodic announces, some started and completed, a few stopped; two thirds of clients seed; a quarter of the
 * torrents has most of the clients.
 */
export function announceTargets(mix: AnnounceMix, count: number): string[] {
  const random = createRandom(mix.seed)
  return Array.from({ length: count }, () => {
    const client = randomBelow(random, mix.clients)
    const few = Math.max(1, mix.torrents >> 2)
    const torrent = randomBelow(random, 4) > 0 ? client % few : client % mix.torrents
    const peerId = Buffer.from('-qB4520-000000000000')
    peerId.writeUInt32BE(client, 12)
    const dice = randomBelow(random, 100)
    const event =
      dice < 6
        ? '&event=started'
        : dice < 8
          ? '&event=completed'
          : dice < 10
            ? '&event=stopped'
            : ''
    const left = client % 3 ? 0 : 1_000_000
    return `/announce?info_hash=${escaped(infoHashOf(torrent))}&peer_id=${escaped(peerId)}&port=${1024 + (client % 60_000)}&uploaded=${client}&downloaded=0&left=${left}&corrupt=0&key=${client.toString(16).padStart(8, '0')}${event}&numwant=${mix.numwant}&compact=1&no_peer_id=1&supportcrypto=1&redundant=0`
  })
}
