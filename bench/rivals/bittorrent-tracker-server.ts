import { Server } from 'bittorrent-tracker'

/** The tracker of the npm package, over HTTP and optionally UDP on the same port. */
const udp = process.argv[3] === 'udp'
const server = new Server({ http: true, udp, ws: false, stats: false, interval: 1_800_000 })
server.on('error', () => process.exit(1))
server.listen(Number(process.argv[2]), { http: '127.0.0.1', udp: '127.0.0.1', udp6: '::1' })
