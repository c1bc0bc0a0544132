import type { CertificateFilter, CertificateReload } from '../admin/admin.ts'
import type { Config } from '../config/config.ts'
import { liveConfigOf } from '../config/live.ts'
import type { LoadedConfig } from '../config/load.ts'
import { type Engine, type EngineTables, setRules } from '../engine/engine.ts'
import type { Parts } from '../lifecycle.ts'
import { type Logger, pinoLevel } from '../log.ts'
import type { ServiceManager } from '../native/sd-notify.ts'
import type { Nodes } from '../nodes/nodes.ts'
import type { Certificates } from '../serving/certificates.ts'
import { type ClaimedTcp, claimTcpListeners, type Serving } from '../serving/http-servers.ts'
import { pathRules } from '../serving/listeners.ts'
import type { FrontendListeners } from '../serving/local-servers.ts'
import type { EngineThreads } from '../threads/engine-threads.ts'
import { type UdpListener, udpListeners } from '../threads/udp-listeners.ts'
import type { UdpThreads } from '../threads/udp-threads.ts'
import { isCut } from './cut-file.ts'
import { settingsDigest } from './nodes.ts'
import type { Persistence } from './persistence.ts'
import { engineRules } from './rules.ts'
import type { Snapshots } from './snapshots.ts'

export type ReloadOptions = {
  /** Reads the configuration that this process was started with. Throws an OperatorError. */
  readonly load: () => LoadedConfig
  readonly certificates: Certificates
  readonly parts: Parts
  readonly manager: ServiceManager
  readonly log: Logger
}

/** The running components, which a reload changes. */
export type Running = {
  /** The configuration in effect. */
  readonly config: Config
  /** The text of its file. */
  readonly text: string
  readonly claimed: ClaimedTcp
  readonly udp: readonly ClaimedUdp[]
  readonly serving: Serving
  readonly engine: Engine
  readonly tables: EngineTables
  readonly engineThreads: EngineThreads
  readonly udpThreads: UdpThreads
  readonly nodes: Nodes | undefined
  readonly persistence: Persistence
  readonly snapshots: Snapshots | undefined
  /** The text that `systemctl status` shows. */
  readonly status: () => string
}

/** A UDP listener with its port and its index among the enabled ones. */
export type ClaimedUdp = UdpListener & { readonly n: number }

/** Applies a changed configuration or changed certificates to the running tracker, one by one. */
export class Reload {
  readonly #options: ReloadOptions
  #running: Running | undefined
  #last: Promise<unknown> = Promise.resolve()
  #isConfigWaiting = false

  constructor(options: ReloadOptions) {
    this.#options = options
  }

  /** Called when everything is started. Reloads are carried out from then on. */
  begin(running: Running): void {
    this.#running = running
  }

  /**
   * Reads the configuration again and applies it as far as a running tracker can. Errors are logged
   * and leave everything unchanged. A call while another one waits does nothing.
   */
  async config(): Promise<void> {
    const { log, parts } = this.#options
    if (!this.#running) return log.warn('ignoring reload: startup has not finished')
    if (this.#isConfigWaiting) return
    this.#isConfigWaiting = true
    await this.#inTurn(async running => {
      this.#isConfigWaiting = false
      if (parts.stopping) return
      log.info('reloading')
      try {
        this.#running = await this.#applyConfig(running)
        log.info('reloaded')
      } catch (error) {
        if (parts.stopping) return
        const faults = (error as Error).message.split('\n')
        log.error({ faults }, 'reload failed; keeping the previous configuration')
      }
    })
  }

  /** Reads certificates again, and returns the result for each. */
  async certificates(filter: CertificateFilter): Promise<readonly CertificateReload[]> {
    if (!this.#running) return []
    return this.#inTurn(async running => {
      const { certificates, log } = this.#options
      const pairs = certificates.reread(running.config, filter)
      logFaults(pairs.results, log)
      if (pairs.results.every(({ error }) => error !== undefined)) return pairs.results
      const claimed = await claimTcpListeners(running.config, pairs, log, running.claimed.ports)
      await running.serving
        .replace(claimed.listeners, running.config.log)
        .finally(() => claimed.release())
      pairs.use()
      this.#running = { ...running, claimed }
      log.info('certificates reloaded')
      return pairs.results
    })
  }

  #inTurn<Result>(job: (running: Running) => Promise<Result>): Promise<Result> {
    const { manager } = this.#options
    const done = this.#last.then(async () => {
      const running = this.#running as Running
      manager.reloading()
      return job(running).finally(() => manager.ready(running.status()))
    })
    this.#last = done.catch(() => {})
    return done
  }

  async #applyConfig(running: Running): Promise<Running> {
    const { certificates, load, log } = this.#options
    const loaded = load()
    if (isCut(running.text, loaded.text)) {
      throw new Error('the file is empty or ends early. To apply it as it is, restart muster.')
    }
    for (const warning of loaded.warnings) log.warn({ warning }, 'configuration')
    const { config, waiting } = liveConfigOf(running.config, loaded.config)
    const pairs = certificates.reread(config)
    logFaults(pairs.results, log)
    const claimed = await claimTcpListeners(config, pairs, log, running.claimed.ports)
    await running.snapshots?.write()
    await running.serving.replace(claimed.listeners, config.log).finally(() => claimed.release())
    pairs.use()
    logNewListeners(running.claimed.listeners, claimed.listeners, log)
    log.level = pinoLevel(config.log.level)
    await applyRules(running, config)
    if (waiting.length > 0) {
      log.warn({ keys: waiting }, 'changed keys take effect at the next restart')
    }
    return { ...running, config, text: loaded.text, claimed }
  }
}

async function applyRules(running: Running, config: Config): Promise<void> {
  const { engine, engineThreads, persistence, snapshots, tables, udp, udpThreads } = running
  const rules = engineRules(config)
  if (rules.access.users && !engine.access.rules.users) {
    await persistence.administration.users.loadLedger()
  }
  setRules(engine, tables, rules)
  running.nodes?.setRules(rules, settingsDigest(config))
  engineThreads.setRules(rules, config.tracker_config.peers_cleanup_interval)
  persistence.setIntervals(config)
  snapshots?.setInterval(config.snapshot.interval)
  const listeners = udpListeners(config, pathRules(config))
  await udpThreads.setRules(
    udp.map(({ n, port, ...listener }) => ({ ...listener, ...listeners[n], port })),
    rules,
  )
}

function logFaults(results: readonly CertificateReload[], log: Logger): void {
  for (const { error } of results) {
    if (error === undefined) continue
    log.error({ reason: error }, 'certificate not reloaded; the previous one stays in use')
  }
}

function logNewListeners(before: FrontendListeners, after: FrontendListeners, log: Logger): void {
  for (const server of ['http', 'api'] as const) {
    for (const { host, port, tls } of after[server]) {
      if (before[server].some(old => old.host === host && old.port === port)) continue
      log.info({ server, address: host, port, tls: tls !== undefined }, 'listening')
    }
  }
}
