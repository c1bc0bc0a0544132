import t from 'tap'
import { HEARTBEAT_MILLIS, type Heartbeat, Members } from '../../src/nodes/members.ts'

function heartbeat(millis: number, id = 1): Heartbeat {
  return {
    name: 'b',
    epoch: 1,
    id,
    version: '1.0.0',
    sequence: 0,
    changes: 0,
    millis,
    torrents: 0,
    peers: 0,
    announces: 0,
    joined: true,
    alone: false,
    settings: '',
    relays: true,
    losses: 0,
  }
}

t.test('heartbeats that waited while this node was stopped do not shift a clock', async t => {
  const members = new Members()
  const member = members.of('b')
  if (!member) throw new Error('there is space for a node')
  t.ok(members.note(member, heartbeat(Date.now()), 0), 'it is new')
  const stopped = Date.now() - 10_000
  t.same(
    members.takeSilent(10_000).map(({ name }) => name),
    ['b'],
  )
  for (let n = 0; n < 5; n++) {
    members.note(member, heartbeat(stopped + n * HEARTBEAT_MILLIS), 10_000)
    t.ok(Math.abs(member.clockSeconds) < 5, `${member.clockSeconds} s after ${n + 1} heartbeats`)
  }
})

t.test('a node that was restarted may have another clock', async t => {
  const members = new Members()
  const member = members.of('b')
  if (!member) throw new Error('there is space for a node')
  members.note(member, heartbeat(Date.now()), 0)
  members.note(member, heartbeat(Date.now() - 60_000, 2), 2000)
  t.ok(Math.abs(member.clockSeconds + 60) < 5, `${member.clockSeconds} s`)
  members.note(member, heartbeat(Date.now() - 40_000, 2), 4000)
  t.ok(Math.abs(member.clockSeconds + 40) < 5, 'the fastest heartbeat counts')
})
