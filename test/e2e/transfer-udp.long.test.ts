import { aria2, qbittorrent, transmission } from '../fixtures/real-clients.ts'
import { testTransfer } from '../fixtures/transfer.ts'

testTransfer(transmission, aria2, 1, 'udp')
testTransfer(aria2, qbittorrent, 0, 'udp')
