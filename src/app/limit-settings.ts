import type { LimitsConfig } from '../config/config.ts'
import type { LimitSettings } from '../engine/policy.ts'

/** The limits of a configuration, as the engine has them. */
export function limitSettings(limits: LimitsConfig): LimitSettings {
  return {
    announcesPerAddress: limits.announces_per_address,
    announcesBurst: limits.announces_per_address_burst,
    maxTorrents: limits.max_torrents,
    peersPerAddress: limits.peers_per_address,
    refusePrivateAddresses: limits.refuse_private_addresses,
    refusePrivilegedPorts: limits.refuse_privileged_ports,
    clientBlacklist: limits.client_blacklist,
    clientWhitelist: limits.client_whitelist,
  }
}
