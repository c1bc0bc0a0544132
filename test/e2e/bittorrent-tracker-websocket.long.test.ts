import { EventEmitter, once } from 'node:events'
import { Client } from 'bittorrent-tracker'
import t, { type Test } from 'tap'
import { getBencoded } from '../fixtures/http-client.ts'
import { announceTarget } from '../fixtures/load.ts'
import { startTracker } from '../fixtures/start-tracker.ts'
import { clientOf, hashOf } from '../fixtures/tracker-client.ts'

type Description = { readonly type: string; readonly sdp: string }

/** Replaces WebRTC, which Node does not have: makes named descriptions and stores received ones. */
class DescribedPeer extends EventEmitter {
  readonly got: Description[] = []
  id: string | undefined
  trackerTimeout: unknown

  constructor(name: string, initiator: boolean) {
    super()
    if (initiator) setImmediate(() => this.emit('signal', { type: 'offer', sdp: `of ${name}` }))
    else this.once('got', ({ sdp }) => this.emit('signal', { type: 'answer', sdp: `to ${sdp}` }))
  }

  signal(description: Description): void {
    this.got.push(description)
    this.emit('got', description)
  }

  destroy(): void {}
}

type PeerMaker = { _createPeer(options?: { initiator?: boolean }): DescribedPeer }

/** A client of the npm package, all of it its own but the WebRTC connections. */
function clientAt(t: Test, url: string, infoHash: Buffer, n: number): Client {
  const client = new Client({
    infoHash,
    peerId: clientOf(n).peerId,
    announce: [url],
    port: 6881,
    wrtc: {},
  })
  const { _trackers: trackers } = client as unknown as { _trackers: PeerMaker[] }
  for (const tracker of trackers) {
    tracker._createPeer = options => new DescribedPeer(`client ${n}`, options?.initiator === true)
  }
  let isOver = false
  const onFailure = (error: Error) => {
    // The tracker may close a connection before the client does.
    if (!isOver) t.fail(error.message)
  }
  client.on('error', onFailure)
  client.on('warning', onFailure)
  t.teardown(() => {
    isOver = true
    client.destroy()
  })
  return client
}

const update = async (client: Client) => (await once(client, 'update'))[0] as object

for (const workers of [0, 2]) {
  t.test(
    `the npm client finds peers, completes, scrapes and stops, ${workers} workers`,
    async t => {
      const tracker = await startTracker(t, { frontend: { workers } })
      const url = `${tracker.url().replace('http', 'ws')}/announce`
      const infoHash = hashOf(1)
      await getBencoded(tracker.url(), announceTarget(2, 1))
      // The package has one socket for a URL, whichever client it is of: two URLs are two
      // connections.
      const seeder = clientAt(t, url, infoHash, 1)
      const leecher = clientAt(t, `${url}?other`, infoHash, 2)
      const options = { numwant: 4 }

      seeder.start({ left: 0, ...options })
      const before = (await update(seeder)) as { complete: number; incomplete: number }
      t.equal(before.complete + before.incomplete, 2, 'one swarm with the peer over HTTP')
      const met = [once(seeder, 'peer'), once(leecher, 'peer')] as const
      leecher.start({ left: 1000, ...options })
      t.match(await update(leecher), { incomplete: before.incomplete + 1, interval: 120 })
      const [[atSeeder], [atLeecher]] = (await Promise.all(met)) as [
        DescribedPeer[],
        DescribedPeer[],
      ]
      t.match(atSeeder, { id: clientOf(2).peerId.toString('hex') })
      t.same(atSeeder?.got, [{ type: 'offer', sdp: 'of client 2' }])
      t.match(atLeecher, { id: clientOf(1).peerId.toString('hex') })
      t.same(atLeecher?.got, [{ type: 'answer', sdp: 'to of client 2' }])

      leecher.complete({ left: 0, downloaded: 1000 })
      t.match(await update(leecher), { complete: before.complete + 1 })
      leecher.scrape()
      t.match((await once(leecher, 'scrape'))[0], { complete: before.complete + 1, downloaded: 1 })
      leecher.stop({ left: 0 })
      t.match(await update(leecher), { complete: before.complete })
      t.equal(await tracker.stop(), 0)
    },
  )
}
