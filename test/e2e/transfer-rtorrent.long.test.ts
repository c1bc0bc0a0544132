import { aria2, rtorrent, transmission } from '../fixtures/real-clients.ts'
import { testTransfer } from '../fixtures/transfer.ts'

testTransfer(transmission, rtorrent, 0, 'nginx')
testTransfer(rtorrent, aria2, 1, 'udp')
