import t from 'tap'
import { clientOfPeerId } from '../../src/protocol/peer-client.ts'

function clientOf(text: string): string {
  return clientOfPeerId(Buffer.from(text.padEnd(20, '\x81'), 'latin1').toString('hex'))
}

t.test('clients are recognized by their peer ids', t => {
  for (const [peerId, client] of [
    ['-qB4530-NoxCXf*!&^&B', 'qBittorrent'],
    ['-TR2940-0olHXM*^&%@!', 'Transmission'],
    ['-UT355W-', 'µTorrent'],
    ['-DE13F0-', 'Deluge'],
    ['-lt0D80-', 'libTorrent (Rakshasa)'],
    ['-LT20A0-', 'libtorrent (Rasterbar)'],
    ['-AZ5770-', 'Vuze'],
    ['-BI3700-', 'BiglyBT'],
    ['-WW0103-', 'WebTorrent'],
    ['-A~0520-', 'Ares'],
    ['-FG0183', 'FlashGet'],
    ['-ML2.7.2-kgjjfkd', 'MLDonkey'],
    ['-BOWA0C-', 'Bits on Wheels'],
    ['-aria2-1.36.0-', 'aria2'],
    ['A2-1-36-0-', 'aria2'],
    ['M7-10-5--', 'BitTorrent'],
    ['M4-3-6--', 'BitTorrent'],
    ['XBT054d-', 'XBT Client'],
    ['OP7685', 'Opera'],
    ['T03I-----', 'BitTornado'],
    ['A310--001', 'ABC'],
    ['S58B-----', 'Shadow'],
    ['exbc\0\x38LORD', 'BitLord'],
    ['exbc\0\x38', 'BitComet'],
    ['Q1-0-0--', 'Queen Bee'],
    ['S3-1-0-0--', 'Amazon S3'],
  ] as const) {
    t.equal(clientOf(peerId), client, peerId)
  }
  t.end()
})

t.test('a peer id without a known prefix is Unknown', t => {
  for (const peerId of [
    '-??0000-',
    '-zz0000-',
    '-__proto__',
    '',
    'Zzzzz---',
    '-UT3550',
    '\0'.repeat(20),
  ])
    t.equal(clientOf(peerId), 'Unknown', JSON.stringify(peerId))
  t.equal(clientOfPeerId(''), 'Unknown')
  t.end()
})
