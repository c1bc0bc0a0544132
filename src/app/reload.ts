import type { CertificateFilter, CertificateReload } from '../admin/admin.ts'
import type { Config } from '../config/config.ts'
import { takeLive } from '../config/live.ts'
import type { LoadedConfig } from '../config/load.ts'
import { type Engine, type EngineTables, setRules } from '../engine/engine.ts'
import { type Logger, pinoLevel } from '../log.ts'
import type { Certificates } from '../serving/certificates.ts'
import { type ClaimedTcp, claimTcpListeners, type Serving } from '../serving/http-servers.ts'
import { pathRules } from '../serving/listeners.ts'
import type { FrontendListeners } from '../serving/local-servers.ts'
import type { EngineThreads } from '../threads/engine-threads.ts'
import { type UdpListener, udpListeners } from '../threads/udp-listeners.ts'
import type { UdpThreads } from '../threads/udp-threads.ts'
import type { Keeping } from './persistence.ts'
import { engineRules } from './rules.ts'
import type { Snapshots } from './snapshots.ts'

export type ReloadOptions = {
  /** Reads the configuration that this process was started with. Throws an OperatorError. */
  readonly load: () => LoadedConfig
  /** What is in effect. */
  readonly config: Config
  readonly claimed: ClaimedTcp
  readonly udp: readonly ClaimedUdp[]
  readonly certificates: Certificates
  readonly serving: Serving
  readonly engine: Engine
  readonly tables: EngineTables
  readonly engineThreads: EngineThreads
  readonly udpThreads: UdpThreads
  readonly keeping: Keeping
  readonly snapshots: Snapshots | undefined
  readonly isStopping: () => boolean
  /** Told when a reload begins and when it has ended, well or not. */
  readonly began: () => void
  readonly ended: () => void
  readonly log: Logger
}

/** A UDP listener with a port, and its place among the enabled ones. */
export type ClaimedUdp = UdpListener & { readonly n: number }

export type Reload = {
  /** Takes the configuration anew, as far as a running tracker can. What is wrong is logged, and then all stays as it was. */
  config(): Promise<void>
  /** Takes certificates anew, and says of each what became of it. */
  certificates(filter: CertificateFilter): Promise<readonly CertificateReload[]>
}

/** One reload at a time; a second `config` while one waits for its turn is the same. */
export function createReload(options: ReloadOptions): Reload {
  const { certificates, log, serving } = options
  let { claimed, config: running } = options
  let last: Promise<unknown> = Promise.resolve()
  let isConfigWaiting = false

  function inTurn<Result>(job: () => Promise<Result>): Promise<Result> {
    const done = last.then(async () => {
      options.began()
      return job().finally(options.ended)
    })
    last = done.catch(() => {})
    return done
  }

  async function takeConfig(): Promise<void> {
    const loaded = options.load()
    for (const warning of loaded.warnings) log.warn({ warning }, 'configuration')
    const { config, waiting } = takeLive(running, loaded.config)
    const pairs = certificates.reread(config)
    tellOfFaults(pairs.results)
    const next = await claimTcpListeners(config, pairs, log, claimed.ports)
    await options.snapshots?.write()
    await serving.replace(next.listeners, config.log).finally(next.release)
    pairs.use()
    tellOfNew(claimed.listeners, next.listeners)
    claimed = next
    running = config
    await applyRules(config)
    if (waiting.length > 0)
      log.warn({ keys: waiting }, 'changed keys take effect at the next restart')
  }

  async function applyRules(config: Config): Promise<void> {
    const { engine, engineThreads, keeping, snapshots, tables, udp, udpThreads } = options
    log.level = pinoLevel(config.log.level)
    const rules = engineRules(config)
    setRules(engine, tables, rules)
    engineThreads.setRules(rules, config.tracker_config.peers_cleanup_interval)
    keeping.setIntervals(config)
    snapshots?.setInterval(config.snapshot.interval)
    const listeners = udpListeners(config, pathRules(config))
    await udpThreads.setRules(
      udp.map(({ n, port, ...listener }) => ({ ...listener, ...listeners[n], port })),
      rules,
    )
  }

  function tellOfFaults(results: readonly CertificateReload[]): void {
    for (const { error } of results) {
      if (error !== undefined)
        log.error({ reason: error }, 'certificate not reloaded; the previous one stays in use')
    }
  }

  function tellOfNew(before: FrontendListeners, after: FrontendListeners): void {
    for (const server of ['http', 'api'] as const) {
      for (const { host, port, tls } of after[server]) {
        if (before[server].some(old => old.host === host && old.port === port)) continue
        log.info({ server, address: host, port, tls: tls !== undefined }, 'listening')
      }
    }
  }

  return {
    async config() {
      if (isConfigWaiting) return
      isConfigWaiting = true
      await inTurn(async () => {
        isConfigWaiting = false
        if (options.isStopping()) return
        log.info('reloading')
        try {
          await takeConfig()
          log.info('reloaded')
        } catch (error) {
          if (options.isStopping()) return
          const faults = (error as Error).message.split('\n')
          log.error({ faults }, 'reload failed; keeping the previous configuration')
        }
      })
    },
    certificates: filter =>
      inTurn(async () => {
        const pairs = certificates.reread(running, filter)
        tellOfFaults(pairs.results)
        if (pairs.results.every(({ error }) => error !== undefined)) return pairs.results
        const next = await claimTcpListeners(running, pairs, log, claimed.ports)
        await serving.replace(next.listeners, running.log).finally(next.release)
        pairs.use()
        claimed = next
        log.info('certificates reloaded')
        return pairs.results
      }),
  }
}
