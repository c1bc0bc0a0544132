import { aria2, qbittorrent, rtorrent, transmission } from '../fixtures/real-clients.ts'
import { testTransfer } from '../fixtures/transfer.ts'

testTransfer(transmission, rtorrent, 0, 'nginx')
testTransfer(aria2, rtorrent, 1, 'udp')
testTransfer(rtorrent, qbittorrent, 0, 'udp')
