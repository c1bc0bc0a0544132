import { NO_TORRENT, type TorrentRef } from './tables/references.ts'
import { type HeldStripe, holdStripe, passStripe } from './tables/stripe.ts'
import { indexSize, torrentAt } from './tables/torrents.ts'

/** Steps after which a stripe's lock is released: an entry of the index is one. */
const SLICE_STEPS = 512

/**
 * Visits the torrents of a stripe, and releases its lock between slices. `visit` must not remove
 * torrents, and returns how many steps it took, each some tens of nanoseconds. A slice ends at an
 * empty entry of the index, because a removal moves no entry past an empty one. If the index grows
 * meanwhile, all torrents are visited again. Returns whether that happened.
 */
export function eachTorrent(
  held: HeldStripe,
  number: number,
  visit: (torrent: TorrentRef) => number,
): boolean {
  let isRepeated = false
  let size = -1
  for (let place = 0, isDone = false; !isDone; ) {
    holdStripe(held, number)
    if (size !== -1 && size !== indexSize(held)) {
      isRepeated = true
      place = 0
    }
    size = indexSize(held)
    for (let steps = 0; place < size; steps++) {
      const torrent = torrentAt(held, place++)
      if (torrent !== NO_TORRENT) steps += visit(torrent)
      else if (steps >= SLICE_STEPS) break
    }
    isDone = place >= size
    passStripe(held)
  }
  return isRepeated
}
