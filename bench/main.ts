import { parseArgs } from 'node:util'
import { run as access } from './micro/access.ts'
import { run as engine } from './micro/engine.ts'
import { run as httpRequest } from './micro/http-request.ts'
import { run as snapshot } from './micro/snapshot.ts'
import { run as udpLoop } from './micro/udp.ts'
import { httpScenario } from './scenarios/http.ts'
import { udpScenario } from './scenarios/udp.ts'

const HELP = `Usage: npm run bench -- SCENARIO [options]

Scenarios:
  http      muster, a bare uWebSockets.js handler, bittorrent-tracker and opentracker on the same HTTP announces
  engine    the tables alone, one thread
  parse     reading HTTP queries and writing answers, one thread
  udp       muster, opentracker and bittorrent-tracker on the same UDP announces
  udp-loop  the UDP receive loop against a generator, answers canned
  access    loading a whitelist of 1M entries, and what the check costs an announce
  snapshot  writing and restoring 5M peers, and what announces feel of it

Options of http and udp:
  --seconds N       length of each run (5)
  --runs N          rounds, each with every tracker in turn; medians are told (5)
  --connections N   concurrent connections (64)
  --torrents N      torrents (http 1000, udp 10000)
  --clients N       clients of http (20000)
  --peers N         peers of udp (1000000)
  --numwant N       peers that a udp announce asks for (50)
  --scrapes N       share of udp requests that are scrapes (0.05)
  --smoke           one short round, to see that everything works
`

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    seconds: { type: 'string', default: '5' },
    runs: { type: 'string', default: '5' },
    connections: { type: 'string', default: '64' },
    torrents: { type: 'string' },
    clients: { type: 'string', default: '20000' },
    peers: { type: 'string', default: '1000000' },
    numwant: { type: 'string', default: '50' },
    scrapes: { type: 'string', default: '0.05' },
    smoke: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
})

const [scenario = 'http'] = positionals
if (values.help) process.stdout.write(HELP)
else if (scenario === 'engine') engine(values.smoke)
else if (scenario === 'access') await access(values.smoke)
else if (scenario === 'parse') httpRequest(values.smoke)
else if (scenario === 'snapshot') await snapshot(values.smoke)
else if (scenario === 'udp-loop') await udpLoop(values.smoke)
else if (scenario === 'udp') {
  await udpScenario({
    seconds: values.smoke ? 0.3 : Number(values.seconds),
    runs: values.smoke ? 1 : Number(values.runs),
    torrents: values.smoke ? 10 : Number(values.torrents ?? 10_000),
    peers: values.smoke ? 1000 : Number(values.peers),
    numwant: Number(values.numwant),
    scrapes: Number(values.scrapes),
  })
} else if (scenario === 'http') {
  await httpScenario({
    seconds: values.smoke ? 0.3 : Number(values.seconds),
    runs: values.smoke ? 1 : Number(values.runs),
    connections: values.smoke ? 4 : Number(values.connections),
    torrents: values.smoke ? 10 : Number(values.torrents ?? 1000),
    clients: values.smoke ? 100 : Number(values.clients),
  })
} else {
  process.stderr.write(`unknown scenario ${scenario}\n\n${HELP}`)
  process.exitCode = 64
}
