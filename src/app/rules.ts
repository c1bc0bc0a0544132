import type { Config, LimitsConfig } from '../config/config.ts'
import type { EngineRules } from '../engine/engine.ts'
import type { LimitSettings } from '../engine/policy.ts'

/** The rules of the engine from a configuration. */
export function engineRules(config: Config): EngineRules {
  const { accounting, database, database_structure: structure, tracker_config: tracker } = config
  const keepsTorrents = database.persistent && structure.torrents.persistent
  return {
    settings: {
      limits: limitSettings(config.limits),
      accounting: {
        maxRate: accounting.max_rate,
        maxRateBurst: accounting.max_rate_burst,
        suspiciousRate: accounting.suspicious_rate,
        creditIdleUpload: accounting.credit_idle_upload,
        downloadsPerUser: accounting.downloads_per_user,
        peersPerUser: accounting.peers_per_user,
      },
      interval: tracker.request_interval,
      intervalJitterPercent: tracker.request_interval_jitter,
      peersTimeout: tracker.peers_timeout,
      persistent: keepsTorrents && database.update_completed,
      notePeers: keepsTorrents && database.update_peers,
      sharesDatabase: config.nodes.servers.length > 0 && database.engine !== 'sqlite3',
    },
    access: {
      whitelist: tracker.whitelist_enabled,
      blacklist: tracker.blacklist_enabled,
      keys: tracker.keys_enabled,
      users: tracker.users_enabled,
      anonymousScrape: tracker.allow_anonymous_scrape,
      usersRequired: tracker.users_required,
      scrapeNeedsKey: tracker.scrape_needs_key,
      refuseInactiveUsers: tracker.refuse_inactive_users,
    },
  }
}

function limitSettings(limits: LimitsConfig): LimitSettings {
  return {
    announcesPerAddress: limits.announces_per_address,
    announcesBurst: limits.announces_per_address_burst,
    maxTorrents: limits.max_torrents,
    peersPerAddress: limits.peers_per_address,
    memoryPerAddress: limits.memory_per_address,
    serveExcessLeechers: limits.serve_excess_leechers,
    completedOncePerDay: limits.completed_once_per_day,
    refusePrivateAddresses: limits.refuse_private_addresses,
    refusePrivilegedPorts: limits.refuse_privileged_ports,
    refusePortZero: limits.refuse_port_zero,
    clientBlacklist: limits.client_blacklist,
    clientWhitelist: limits.client_whitelist,
  }
}
