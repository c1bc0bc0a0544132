import type { Config } from '../config/config.ts'
import type { EngineRules } from '../engine/engine.ts'
import { limitSettings } from './limit-settings.ts'

/** What the engine goes by, of a configuration. */
export function engineRules(config: Config): EngineRules {
  const { database, database_structure: structure, tracker_config: tracker } = config
  const keepsTorrents = database.persistent && structure.torrents.persistent
  return {
    settings: {
      limits: limitSettings(config.limits),
      interval: tracker.request_interval,
      intervalJitterPercent: tracker.request_interval_jitter,
      peersTimeout: tracker.peers_timeout,
      persistent: keepsTorrents && database.update_completed,
      notePeers: keepsTorrents && database.update_peers,
    },
    access: {
      whitelist: tracker.whitelist_enabled,
      blacklist: tracker.blacklist_enabled,
      keys: tracker.keys_enabled,
      users: tracker.users_enabled,
    },
  }
}
