import { aria2, transmission } from '../fixtures/real-clients.ts'
import { testTransfer } from '../fixtures/transfer.ts'

testTransfer(transmission, aria2, 0, 'http')
testTransfer(transmission, aria2, 2, 'http')
testTransfer(aria2, transmission, 1, 'http')
