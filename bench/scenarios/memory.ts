import { startUdpGenerator } from '../load/generators.ts'
import { memoryMib, processTree } from '../measure.ts'
import { muster } from '../rivals/muster.ts'
import { bySize, createRows, type Scenario } from '../scenario.ts'

export const memory: Scenario = {
  name: 'memory',
  about: 'memory of all processes at 5M IPv4 peers in 1M torrents, announced over UDP',
  secondsMax: 420,
  async run(plan) {
    const peers = bySize(plan, 5_000_000, 1_000_000, 5000)
    const torrents = peers / 5
    const rows = createRows()
    const tracker = await muster({
      udp: { threads: 1 },
      config: { engine: { memory: '2 GiB' } },
    }).start({ infoHashes: [], bodyBytes: 0 })
    const mib = () => memoryMib(processTree(tracker.pid))
    const mix = { torrents, clients: peers, numwant: 0, scrapes: 0, events: false, seed: 1 }
    const generator = startUdpGenerator({ port: tracker.port, mix })
    try {
      rows.add('empty', { peers: 0, mib: mib() })
      const { answered, seconds } = await generator.fill()
      const full = mib()
      rows.add('full', {
        peers: answered,
        mib: full,
        bytesPerPeer: (full * 2 ** 20) / answered,
        perSecond: answered / seconds,
      })
    } finally {
      generator.stop()
      await tracker.stop()
    }
    return {
      title: 'Memory, all included',
      options: { peers, torrents },
      rows: rows.rows,
      notes: [
        'Proportional set size (PSS) of all processes, including Node and the program code. Torrents without these peers are not counted.',
      ],
    }
  },
}
