import { Server } from 'bittorrent-tracker'

/** The tracker of the npm package, HTTP only. */
const server = new Server({ http: true, udp: false, ws: false, stats: false, interval: 1_800_000 })
server.on('error', () => process.exit(1))
server.listen(Number(process.argv[2]), '127.0.0.1')
