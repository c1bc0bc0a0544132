import { existsSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { WebhookReceiver } from '../events/fixtures/receiver.ts'
import { announce, hex, startWithApi, TOKEN, USER, UUID } from '../fixtures/admin-client.ts'
import { getBencoded } from '../fixtures/http-client.ts'
import { type Tracker, temporaryFolder } from '../fixtures/start-tracker.ts'
import { hashOf } from '../fixtures/tracker-client.ts'
import { openUdpClient } from './fixtures/udp-client.ts'

const SPOOL = 'data/events.webhook.ndjson'

function configOf(url: string) {
  return {
    tracker_config: { users_enabled: true },
    database: { persistent_interval: 1 },
    events: { webhook_url: url, webhook_secret: 'secret', delay: 0, timeout: 60 },
  }
}

async function send(tracker: Tracker, more: Parameters<typeof announce>[2]): Promise<void> {
  const answer = await getBencoded(tracker.url(), announce(`/announce/${USER}`, 1, more))
  if ('failure reason' in answer) throw new Error('the announce was refused')
}

t.test(
  'a webhook receives every event of a download, and the tracker does not wait for it',
  async t => {
    const receiver = new WebhookReceiver()
    await receiver.start(t)
    const folder = temporaryFolder(t)
    const { tracker, admin } = await startWithApi(t, configOf(receiver.url), folder)
    await admin.call('POST', `/api/user/${UUID}/${USER}/0/0/0/0/1`)
    await send(tracker, { event: 'started', left: 500 })
    await send(tracker, { left: 400, uploaded: 30, downloaded: 100 })
    await send(tracker, { event: 'completed', left: 0, uploaded: 60, downloaded: 500 })
    await send(tracker, { event: 'stopped', left: 0, uploaded: 70, downloaded: 500 })
    const kinds = (kind: string) => receiver.events.filter(({ event }) => event === kind)
    await receiver.until(() => creditedBytes(receiver) === 570 && kinds('stopped').length > 0)
    const story = receiver.events.filter(({ event }) => event !== 'credited')
    t.match(story, [
      { event: 'started', left: 500 },
      { event: 'completed', left: 0, uploaded: 60, downloaded: 500 },
      { event: 'stopped', uploaded: 70 },
    ])
    for (const event of story) {
      t.match(event, { info_hash: hex(1), user: UUID, ip: '127.0.0.1', port: Number })
    }
    const [credited] = kinds('credited')
    t.match(credited, { user: UUID, torrents: [{ info_hash: hex(1) }] })
    const user = (await admin.call('GET', `/api/user/${USER}`)).json
    t.equal(Number(user['uploaded']) + Number(user['downloaded']), 570, 'as the database says')
    t.equal(new Set(receiver.events.map(({ id }) => id)).size, receiver.events.length)

    await whileItHangs(t, tracker, receiver)
    t.equal(await tracker.stop(), 0)
    t.ok(existsSync(join(folder, SPOOL)), 'what did not arrive waits in a file')

    receiver.mode = 'accept'
    const second = await startWithApi(t, configOf(receiver.url), folder)
    await receiver.until(() => kinds('started').length >= 1 + HANGING)
    const udp = await openUdpClient(t, '127.0.0.1', second.tracker.port('udp', '127.0.0.1'))
    const path = `/announce/${USER}`
    const options = Buffer.concat([Buffer.from([2, path.length]), Buffer.from(path)])
    await udp.announce({ infoHash: hashOf(900), event: 2, options })
    await receiver.until(() => kinds('started').some(event => event['info_hash'] === hex(900)))
    t.equal(await second.tracker.stop(), 0)
    t.notOk(existsSync(join(folder, SPOOL)), 'all of it has arrived')
  },
)

const HANGING = 50

function creditedBytes({ events }: WebhookReceiver): number {
  return events
    .filter(({ event }) => event === 'credited')
    .reduce((sum, { uploaded, downloaded }) => sum + Number(uploaded) + Number(downloaded), 0)
}

async function whileItHangs(t: Test, tracker: Tracker, receiver: WebhookReceiver): Promise<void> {
  receiver.mode = 'hang'
  for (let n = 0; n < HANGING; n++) {
    const target = announce(`/announce/${USER}`, 100 + n, { event: 'started' })
    const answer = await getBencoded(tracker.url(), target)
    t.notOk('failure reason' in answer)
  }
  const url = `http://127.0.0.1:${tracker.port('api')}/metrics?token=${encodeURIComponent(TOKEN)}`
  for (;;) {
    const text = await (await fetch(url)).text()
    const value = (name: string) =>
      Number(
        new RegExp(`^muster_events_${name}\\{receiver="webhook"\\} (.+)$`, 'm').exec(text)?.[1],
      )
    if (value('waiting') >= HANGING && value('lag_seconds') > 0) {
      t.equal(value('dropped_total'), 0)
      t.ok(value('sent_total') >= 4)
      return
    }
    await new Promise(resolve => setTimeout(resolve, 50))
  }
}
