import { readFileSync } from 'node:fs'
import { loadUws } from '../../src/frontends/backends/uws.ts'

/** A minimal uWebSockets.js server, with TLS if a key pair is given. All answers are equal. */
const [port, bodyBytes] = process.argv.slice(2).map(Number)
const [key, certificate] = process.argv.slice(4).map(file => readFileSync(file, 'utf8'))
const body = new Uint8Array(bodyBytes ?? 0).fill(0x64)
loadUws()
  .createApp({ tls: key && certificate ? { key, certificate } : undefined })
  .any('/*', response => {
    response.cork(() => {
      response.writeHeader('content-type', 'text/plain').end(body)
    })
  })
  .listen('127.0.0.1', port ?? 0, listening => {
    if (!listening) process.exit(1)
  })
