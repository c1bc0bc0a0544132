import { parentPort, workerData } from 'node:worker_threads'
import { openLibc } from '../native/libc.ts'
import { openConnectionLook } from './connection-look.ts'

/** Entry of the thread that limits the connections of its process. */

const LOOK_MILLIS = 1000

const connections = openConnectionLook(workerData, openLibc())
const look = () => parentPort?.postMessage(connections.look())
look()
const timer = setInterval(look, LOOK_MILLIS)
parentPort?.once('message', () => {
  clearInterval(timer)
  connections.close()
})
