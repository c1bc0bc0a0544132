import { aria2, qbittorrent, transmission } from '../fixtures/real-clients.ts'
import { testTransfer } from '../fixtures/transfer.ts'

testTransfer(aria2, qbittorrent, 0, 'http over IPv6')
testTransfer(aria2, qbittorrent, 1, 'nginx')
testTransfer(transmission, aria2, 0, 'HAProxy')
